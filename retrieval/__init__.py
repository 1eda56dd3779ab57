"""The Uni-Retrieval encoder, its training, and the vector store."""
