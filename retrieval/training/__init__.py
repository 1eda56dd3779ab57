"""Training of the Uni-Retrieval encoder: views of figures, batches, losses, methods, one loop."""
