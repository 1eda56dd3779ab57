"""Trains an encoder and learns query styles from examples."""
