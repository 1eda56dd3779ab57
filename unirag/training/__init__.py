"""Training: image encoders from corpora, and query styles from examples."""
