"""What a caller's request may be, before anything is done with it. Pure."""

import functools
import ipaddress
import re
from collections.abc import Mapping

from proxy import errors
from proxy.gateway.headers import LENGTH_DIGITS, Headers, values

HEAD_LIMIT = 64 << 10
"""Bytes of a request's line and headers, and of its trailers."""

HEADERS_LIMIT = 256
"""How many headers a request may have."""

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
"""The value of ``Allow``. All other methods but CONNECT and TRACE are handed on as well."""

# RFC 3986, section 3.2, roughly.
_AUTHORITY = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[([\da-fA-F:.]+)\])(?::(\d{0,5}))?")


def escaped(data: bytes) -> bytes:
    """Data whose first line is of ASCII: the parser takes no other target, but curl sends what was typed, in UTF-8."""
    line, end, rest = data.partition(b"\n")
    return re.sub(rb"[\x80-\xff]", lambda match: b"%%%02X" % match[0][0], line) + end + rest


def validate_head(version: str, size: int, headers: Headers, fields: Mapping[bytes, bytes]) -> tuple[int, bool]:
    """Refuse a head that is too large, or does not say what it is for, or where its body ends.

    Args:
        version: of HTTP, as in ``1.1``.
        size: of the head, in bytes.
        headers: all of them.
        fields: the first value of each.

    Returns:
        Length of the body, and whether it is chunked.

    Raises:
        errors.HeadersTooLarge: too much of a head.
        errors.InvalidRequest: of another version, or without the one host that RFC 9112, section 3.2, demands, or with
            a framing that two servers could read in two ways (section 6).
    """
    if size > HEAD_LIMIT or len(headers) > HEADERS_LIMIT:
        raise errors.HeadersTooLarge(f"More than {HEADERS_LIMIT} headers, or {HEAD_LIMIT} bytes of them.")
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


@functools.lru_cache(64)  # of 64 KiB at most; the same few hosts come again and again
def _is_authority(value: bytes) -> bool:
    """Whether a value is a host, which may be empty, and optionally a port."""
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
    """Path, query and the two together as they came, of the origin form or the absolute form (RFC 9112, section 3.2).

    Raises:
        errors.InvalidRequest: another form, or an impossible host.
        errors.MethodNotAllowed: a method that is not served.
    """
    if method in {"CONNECT", "TRACE"}:
        raise errors.MethodNotAllowed(f"{method} is not served.")
    if method == "OPTIONS" and raw == b"*":
        return raw, b"", raw
    target = raw
    if raw[:7].lower() == b"http://" or raw[:8].lower() == b"https://":
        # The authority in it counts for nothing: the upstream is the configured one.
        rest = raw.partition(b"://")[2]
        cut = min((index for mark in b"/?" if (index := rest.find(mark)) >= 0), default=len(rest))
        if rest[:cut].startswith(b":") or not cut or not _is_authority(rest[:cut]):
            raise errors.InvalidRequest("The target of the request has no valid host.")
        target = rest[cut:] if rest[cut : cut + 1] == b"/" else b"/" + rest[cut:]
    if not target.startswith(b"/") or b"#" in target:
        raise errors.InvalidRequest("The target of the request is no path.")
    path, _, query = target.partition(b"?")
    return path, query, target
