"""Tells the address of a service from the path of a call, and our service from others."""

import re
from typing import NamedTuple

from proxy.scan.expressions import Expression, Segment
from proxy.scan.shapes import HOST

_ADDRESS = re.compile(
    r"url|uri|api|base|host|endpoint|server|root|origin|addr|proxy|shim|gateway|prefix|sourcecraft", re.IGNORECASE
)
_OWNER = re.compile("org(?!in)|owner|namespace|team", re.IGNORECASE)
_DEFAULT = re.compile(r":?[-=]|\|")
_HOST_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)+(?::\d+)?")
_INTERNAL = re.compile(r"localhost|127\.[\d.]+|\[::1\]|[\w-]*shim[\w.-]*|[\w-]+", re.IGNORECASE)
"""Hosts that may well be the proxy: this machine, names without a domain, and names that say so."""
_LITERAL_HOST = re.compile(r"://(?:[^/\s\"'@]{0,80}+@)?([\w.-]{1,100}+)")


class Call(NamedTuple):
    """An expression, and where the path begins in it.

    Attributes:
        first: index of the first segment after the address of the service.
        is_based: whether an address comes before the path.
    """

    expression: Expression
    first: int
    is_based: bool

    @classmethod
    def of(cls, expression: Expression) -> "Call":
        """Separate the address from the path."""
        if expression.authority is not None:
            return cls(expression, 0, is_based=True)
        if expression.is_rooted or not _is_address(expression):
            return cls(expression, 0, is_based=False)
        return cls(expression, 1, is_based=True)

    @property
    def address(self) -> Segment | None:
        """The segment that holds the host."""
        return self.expression.authority or (self.expression.segments[0] if self.first else None)

    @property
    def host(self) -> str | None:
        """The host, if it is written out; in a variable, its default."""
        address = self.address
        if address is None:
            return None
        if any(part.is_dynamic for part in address.parts):
            default = _LITERAL_HOST.search(address.text)
            return default[1] if default else None
        return address.text.rpartition("@")[2].partition(":")[0]

    @property
    def is_service(self) -> bool:
        """Whether the host is that of the service."""
        return self.host == HOST

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is another service: not over HTTP, or under another host that is not the proxy."""
        if self.expression.scheme not in {"", "http", "https"}:
            return True
        return self.host not in {None, HOST} and not self.is_internal

    @property
    def is_internal(self) -> bool:
        """Whether the host may be the proxy."""
        return self.host is not None and bool(_INTERNAL.fullmatch(self.host))

    def before(self, key: int) -> tuple[Segment, ...]:
        """The segments of the path before one."""
        return self.expression.segments[self.first : key]


def _is_address(expression: Expression) -> bool:
    segment = expression.segments[0]
    if not segment.parts[0].is_dynamic:
        is_named = segment.text == HOST or re.fullmatch(r"[\w.-]+:\d+", segment.text)
        return bool(is_named or (len(expression.segments) > 3 and _HOST_NAME.fullmatch(segment.text)))
    if len(segment.parts) > 1 and not segment.parts[1].is_dynamic:
        return segment.parts[1].text == ":"
    name = _DEFAULT.split(segment.text)[0]
    return bool(_ADDRESS.search(name) and not _OWNER.search(name))
