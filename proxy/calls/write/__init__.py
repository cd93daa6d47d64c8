"""Writes a call in the language of its owner. Each writer takes any call, whatever it was read from."""
