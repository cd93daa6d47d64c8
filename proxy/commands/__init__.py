"""The commands of `trigger-shim`, a module each."""
