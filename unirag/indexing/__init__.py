"""Documents in: read, encode, store, once per changed document."""
