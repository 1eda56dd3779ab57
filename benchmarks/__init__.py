"""Measurements: each module writes `results/NAME.json` and a table `NAME.md`."""
