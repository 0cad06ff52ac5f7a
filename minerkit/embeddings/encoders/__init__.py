"""Encoders, one module a backend; `load_encoder` chooses among them."""
