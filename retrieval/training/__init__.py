"""Training of the Uni-Retrieval encoder: views of figures, losses, methods, one loop."""
