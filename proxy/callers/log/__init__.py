"""Writing the caller log."""
