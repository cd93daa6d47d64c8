"""Writes the caller log."""
