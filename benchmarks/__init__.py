"""Measurements. Each module writes `results/NAME.json`, and some write a table `NAME.md`."""
