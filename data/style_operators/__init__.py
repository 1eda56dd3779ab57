"""Operators that redraw a figure in a query style; `data/styles.py` groups them into styles."""
