"""The sample corpus: our own concept cards (Markdown) and the figures drawn for them."""
