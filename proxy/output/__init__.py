"""Writes to terminals, standard error and log files."""
