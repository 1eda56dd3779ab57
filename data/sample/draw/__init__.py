"""A developer tool that draws the figures of the sample corpus; it is not part of the wheel."""
