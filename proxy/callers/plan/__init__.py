"""What will happen to the callers, and when."""
