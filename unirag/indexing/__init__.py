"""Indexing: reads documents, encodes their items and stores them."""
