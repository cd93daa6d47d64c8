"""Who still calls the withdrawn API."""
