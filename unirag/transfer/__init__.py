"""Corpora out and in: one archive per corpus, with its vectors."""
