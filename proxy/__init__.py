"""trigger-shim: a reverse proxy for a withdrawn CI trigger."""

__version__ = "0.2.0"
