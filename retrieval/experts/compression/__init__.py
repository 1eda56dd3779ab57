"""Compressions make the trained experts of a layer fewer, narrower or coarser."""
