"""The withdrawn API: its endpoints, bodies and phases. Pure, without I/O."""
