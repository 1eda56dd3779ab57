"""One file per format; `READERS` is the list in the order in which they are asked."""
