"""Draws the figures of the sample corpus with matplotlib."""
