"""Operators that redraw a figure by hand: trace it, draw it anew, photograph the sheet.

`tracing` turns a figure into strokes and labels, `hand` draws them as a person would, `letters`
writes, `sheet` is the paper, `camera` takes the photo, `operators` joins them into query styles.
"""
