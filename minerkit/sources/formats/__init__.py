"""Formats of raw corpora, one module each, with a function `read` that yields batches."""
