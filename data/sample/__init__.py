"""The sample corpus: concept cards in Markdown and their figures, written for this project."""
