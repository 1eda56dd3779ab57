"""Transfer: exports a corpus to a file and imports it into another workspace."""
