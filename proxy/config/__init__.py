"""``config.yaml`` to one checked, immutable value."""

from proxy.config.model import (
    Callers,
    Config,
    ConfigError,
    Limits,
    Tls,
    Upstream,
    contradictions,
    is_closed,
    load,
    render,
)

__all__ = [
    "Callers",
    "Config",
    "ConfigError",
    "Limits",
    "Tls",
    "Upstream",
    "contradictions",
    "is_closed",
    "load",
    "render",
]
