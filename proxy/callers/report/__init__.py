"""Reading the caller log, and judging what it says."""
