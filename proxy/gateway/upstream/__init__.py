"""HTTP to the service, behind httpx's transport interface."""
