"""Measures retrieval and answers over an open `App`."""
