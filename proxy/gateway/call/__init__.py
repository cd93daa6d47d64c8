"""The way of a call, from the request to the answer."""
