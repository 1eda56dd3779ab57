"""The language model and the cited answer."""
