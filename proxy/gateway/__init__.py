"""Moving bytes between callers and the successor."""
