"""HTTP from callers."""
