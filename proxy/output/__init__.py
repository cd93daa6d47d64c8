"""What writes to terminals, standard error and log files."""
