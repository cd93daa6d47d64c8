"""Checks of a request's head. Pure functions."""

import functools
import ipaddress
import re
from collections.abc import Mapping

from proxy import errors
from proxy.gateway.headers import LENGTH_DIGITS, Headers, values

HEAD_LIMIT = 64 << 10
"""Bytes of a request line and headers, and of trailers."""

HEADERS_LIMIT = 256
"""Number of headers."""

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
"""The value of ``Allow``. Other methods are passed through as well, except CONNECT and TRACE."""

# RFC 3986, section 3.2, roughly.
_AUTHORITY = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[([\da-fA-F:.]+)\])(?::(\d{0,5}))?")


def escaped(data: bytes) -> bytes:
    """Percent-encode the first line's bytes beyond ASCII: curl sends them, and the parser rejects them in a target."""
    line, end, rest = data.partition(b"\n")
    return re.sub(rb"[\x80-\xff]", lambda match: b"%%%02X" % match[0][0], line) + end + rest


def validate_head(version: str, size: int, headers: Headers, fields: Mapping[bytes, bytes]) -> tuple[int, bool]:
    """Check size, version, host and framing.

    Args:
        version: of HTTP, as in ``1.1``.
        size: of the head, in bytes.
        headers: all of them.
        fields: the first value of each.

    Returns:
        Length of the body in bytes, and whether it is chunked instead.

    Raises:
        errors.HeadersTooLarge: the head has too many bytes or headers.
        errors.InvalidRequest: the version is not supported, there is not exactly one valid host (RFC 9112, section
            3.2), or the framing is ambiguous (section 6).
    """
    if size > HEAD_LIMIT or len(headers) > HEADERS_LIMIT:
        raise errors.HeadersTooLarge(
            f"More than {HEADERS_LIMIT} headers, or {HEAD_LIMIT} bytes of them.", limit="head_size"
        )
    if version not in {"1.0", "1.1"}:
        raise errors.InvalidRequest("The proxy speaks HTTP/1.1.")
    if len(fields) < len(headers):
        _reject_repeated(headers)
    host = fields.get(b"host", b"" if version == "1.0" else None)
    if host is None or not _is_authority(host):
        raise errors.InvalidRequest("The Host header is missing or invalid.")
    return _framing(version, fields.get(b"content-length"), fields.get(b"transfer-encoding"))


def _reject_repeated(headers: Headers) -> None:
    for name in (b"host", b"content-length", b"transfer-encoding"):
        if len(values(headers, name)) > 1:
            raise errors.InvalidRequest(f"The {name.decode().title()} header is repeated.")


@functools.lru_cache(64)  # of at most 64 KiB each; callers use the same few hosts
def _is_authority(value: bytes) -> bool:
    """Return whether a value is a host, which may be empty, with an optional port."""
    found = _AUTHORITY.fullmatch(value)
    return found is not None and (found[1] is None or _is_ipv6(found[1])) and int(found[2] or 0) < 1 << 16


def _is_ipv6(text: bytes) -> bool:
    try:
        ipaddress.IPv6Address(text.decode())
    except ValueError:
        return False
    return True


def _framing(version: str, length: bytes | None, coding: bytes | None) -> tuple[int, bool]:
    if coding is not None and (coding.lower() != b"chunked" or length is not None or version == "1.0"):
        raise errors.InvalidRequest("The only transfer coding is chunked, without Content-Length.")
    if length is not None and len(length) > LENGTH_DIGITS:
        raise errors.InvalidRequest(f"Content-Length has more than {LENGTH_DIGITS} digits.")
    return int(length or 0), coding is not None


def target_of(method: str, raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Split a target in origin form or absolute form (RFC 9112, section 3.2).

    Returns:
        Path, query, and the two together as they came.

    Raises:
        errors.InvalidRequest: the target has another form, or an invalid host.
        errors.MethodNotAllowed: the method is not served.
    """
    if method in {"CONNECT", "TRACE"}:
        raise errors.MethodNotAllowed(f"{method} is not served.")
    if method == "OPTIONS" and raw == b"*":
        return raw, b"", raw
    target = raw
    if raw[:7].lower() == b"http://" or raw[:8].lower() == b"https://":
        # The host is checked and then ignored: calls always go to the configured upstream.
        rest = raw.partition(b"://")[2]
        cut = min((index for mark in b"/?" if (index := rest.find(mark)) >= 0), default=len(rest))
        if rest[:cut].startswith(b":") or not cut or not _is_authority(rest[:cut]):
            raise errors.InvalidRequest("The target of the request has no valid host.")
        target = rest[cut:] if rest[cut : cut + 1] == b"/" else b"/" + rest[cut:]
    if not target.startswith(b"/") or b"#" in target:
        raise errors.InvalidRequest("The target of the request is not a path.")
    path, _, query = target.partition(b"?")
    return path, query, target
