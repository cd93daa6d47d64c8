"""The tables of the ledger: what is written to each, and read from it."""
