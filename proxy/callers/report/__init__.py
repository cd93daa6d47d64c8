"""Judges the calls in the ledger or in caller logs."""
