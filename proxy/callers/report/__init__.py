"""Reads caller logs and draws conclusions."""
