"""The stages, one module each: what it depends on, reads and writes, and what it does."""
