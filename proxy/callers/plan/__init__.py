"""What the policy will do to callers, and when."""
