import functools
import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from proxy.config import Config
from proxy.config.values import Address, UnixPath

SECRET = "s3cret-S3cret-s3cret"


class Load(Protocol):
    def __call__(
        self, text: str | bytes = "", environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None
    ) -> Config: ...


class Problems(Protocol):
    def __call__(
        self, text: str | bytes = "", environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None
    ) -> list[str]: ...


def one(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


def lines(key: str, value: str) -> str:
    """The YAML that sets one dotted key."""
    section, dot, inner = key.partition(".")
    return f"{section}:\n  {inner}: {value}\n" if dot else f"{key}: {value}\n"


def variable(key: str) -> str:
    return "TRIGGER_SHIM__" + key.replace(".", "__").upper()


def at(read: Config, key: str) -> Any:
    return functools.reduce(getattr, key.split("."), read)


READ = [
    ("log.format", "json", "json"),
    ("listen", "127.0.0.1:0", Address("127.0.0.1", 0)),
    ("listen", "0.0.0.0:65535", Address("0.0.0.0", 65535)),
    ("listen", "localhost:8080", Address("localhost", 8080)),
    ("listen", '"[::1]:8080"', Address("::1", 8080)),
    ("listen", "unix:/run/trigger-shim.sock", UnixPath("/run/trigger-shim.sock")),
    ("admin", f"unix:/{'x' * 106}", UnixPath(f"/{'x' * 106}")),
    ("callers.proxy_protocol", "true", True),
    ("admin", "10.0.0.1:9000", Address("10.0.0.1", 9000)),
    ("admin", "null", None),
    ("workers", "1", 1),
    ("workers", "64", 64),
    ("upstream.url", "https://api.example", "https://api.example"),
    ("upstream.url", "https://api.example/", "https://api.example"),
    ("upstream.url", "http://api.example:1", "http://api.example:1"),
    ("upstream.url", "http://api.example:65535", "http://api.example:65535"),
    ("upstream.url", "http://[::1]:9000", "http://[::1]:9000"),
    ("upstream.proxy", "null", None),
    ("upstream.proxy", "http://egress.example:3128", "http://egress.example:3128"),
    ("upstream.proxy", "http://egress.example:3128/", "http://egress.example:3128"),
    ("upstream.proxy", "http://[::1]:1", "http://[::1]:1"),
    ("lifecycle.successor_url", "null", None),
    ("lifecycle.successor_url", "https://api.example/", "https://api.example"),
    ("upstream.connect_timeout", "0.001", 0.001),
    ("limits.drain_delay", "0", 0.0),
    ("limits.drain_delay", "2.5", 2.5),
    ("limits.retry_window", "0", 0.0),
    ("upstream.timeout", "31622400", 31622400),
    ("upstream.keepalive", "1", 1),
    ("upstream.max_connections", "1", 1),
    ("limits.body", "1", 1),
    ("limits.body", '"1"', 1),
    ("limits.body", "1KiB", 1024),
    ("limits.body", "3 MiB", 3 * 1024**2),
    ("limits.body", "1GiB", 1024**3),
    ("limits.in_flight", "1", 1),
    ("limits.drain", "0.5", 0.5),
    ("lifecycle.deprecated", "null", None),
    ("lifecycle.deprecated", "2025-12-02", datetime(2025, 12, 2, tzinfo=UTC)),
    ("lifecycle.sunset", "2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
    ("lifecycle.sunset", '"2026-12-31"', datetime(2026, 12, 31, tzinfo=UTC)),
    ("lifecycle.sunset", "2026-12-31 12:30:00Z", datetime(2026, 12, 31, 12, 30, tzinfo=UTC)),
    ("lifecycle.sunset", "2026-12-31T12:00:00Z", datetime(2026, 12, 31, 12, tzinfo=UTC)),
    ("lifecycle.sunset", "2026-12-31T12:00:00+03:00", datetime(2026, 12, 31, 9, tzinfo=UTC)),
    ("lifecycle.documentation", "https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
    ("lifecycle.documentation", "null", None),
    ("callers.log", '"-"', "-"),
    ("callers.log", "/var/log/callers.jsonl", "/var/log/callers.jsonl"),
    ("callers.heartbeat", "60", 60),
    ("callers.trusted_proxies", "[]", ()),
    ("callers.trusted_proxies", "10.0.0.0/8", (ipaddress.ip_network("10.0.0.0/8"),)),
    (
        "callers.trusted_proxies",
        '[10.0.0.0/8, 192.0.2.1, "2001:db8::/32"]',
        (
            ipaddress.ip_network("10.0.0.0/8"),
            ipaddress.ip_network("192.0.2.1/32"),
            ipaddress.ip_network("2001:db8::/32"),
        ),
    ),
    ("callers.gone", '["web-2", "shim-*"]', ("web-2", "shim-*")),
    ("callers.fingerprint_key", "null", None),
    ("callers.fingerprint_key", "sixteen-letters!", "sixteen-letters!"),
    ("ledger", "null", None),
    ("ledger", "/var/lib/callers.db", "/var/lib/callers.db"),
    ("ledger", "postgresql://shim@db:5433/ledger?sslmode=require", "postgresql://shim@db:5433/ledger?sslmode=require"),
    ("ledger_privacy", "null", None),
    ("ledger_privacy", "62d", timedelta(days=62)),
    ("letters.template", "null", None),
    ("letters.template", "/only/where/letters/are/written.jinja", "/only/where/letters/are/written.jinja"),
    ("letters.sender", "Anna <anna@example.org>", "Anna <anna@example.org>"),
    ("tls", "null", None),
]


def keys(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")
