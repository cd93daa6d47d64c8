"""Finds calls of the withdrawn endpoints in files."""
