"""Operators that restyle a picture: (H, W, 3) uint8 RGB and a generator in, the same size out."""
