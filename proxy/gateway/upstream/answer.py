"""What the head of the service's answer may be, and what it says of its connection. Pure."""

import re

from proxy.gateway.headers import Headers

HEAD_LIMIT = 64 << 10
"""Bytes of an answer before its body, interim answers included, and between or after the pieces of the body."""

IDLE_MARGIN = 1.0
"""Seconds before the end of the time in ``Keep-Alive`` in which a connection is not used again."""

_LENGTH_LIMIT = 18
"""Digits of a ``Content-Length``, leading zeros included. Nothing is longer, and not everybody can count further."""

_TIMEOUT = re.compile(rb"\btimeout *= *(\d{1,9})", re.IGNORECASE)


def check(status: int, version: str, headers: Headers) -> tuple[bool, float | None]:
    """Refuse a head that is too large, or does not say where its body ends.

    Returns:
        Whether the body ends with the connection; and for how many seconds the connection may lie idle afterwards, if
        the service says so in ``Keep-Alive`` (RFC 2068, section 19.7.1.1).

    Raises:
        ValueError: the head is refused.
    """
    size, codings, length, idle = 0, [], None, None
    for name, value in headers:
        size += len(name) + len(value) + 4
        match name.lower():
            case b"transfer-encoding":
                codings.append(value.strip().lower())
            case b"content-length":
                length = value  # the parser takes only one
            case b"keep-alive":
                idle = _idle(value)
    if size > HEAD_LIMIT:
        raise ValueError("the head is too large")
    if version not in {"1.0", "1.1"} or status < 100:
        raise ValueError("not HTTP/1.1")
    if codings not in ([], [b"chunked"]) or len(length or b"") > _LENGTH_LIMIT:
        raise ValueError("the body has an impossible length")
    ends_with_connection = not codings and length is None
    if status < 200 and not ends_with_connection:  # RFC 9112, section 6.1; whoever sends it may send a body
        raise ValueError("an interim answer has a body")
    return ends_with_connection, idle


def _idle(keep_alive: bytes) -> float | None:
    found = _TIMEOUT.search(keep_alive)
    return int(found[1]) - IDLE_MARGIN if found else None
