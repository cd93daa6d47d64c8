"""What the withdrawn API was: pure, no I/O."""
