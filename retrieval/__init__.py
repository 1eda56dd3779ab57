"""The Uni-Retrieval encoder and the vector store."""
