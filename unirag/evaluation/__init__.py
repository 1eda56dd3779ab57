"""Evaluation: measures the retrieval and the answers of an open `App`."""
