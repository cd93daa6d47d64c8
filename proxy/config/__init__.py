"""``config.yaml`` to one checked, immutable value."""

from proxy.config.model import (
    Brownout,
    Callers,
    Config,
    ConfigError,
    Known,
    Lifecycle,
    Limits,
    Tls,
    Upstream,
    contradictions,
    load,
    render,
)

__all__ = [
    "Brownout",
    "Callers",
    "Config",
    "ConfigError",
    "Known",
    "Lifecycle",
    "Limits",
    "Tls",
    "Upstream",
    "contradictions",
    "load",
    "render",
]
