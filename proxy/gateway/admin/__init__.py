"""Health, metrics and report pages."""
