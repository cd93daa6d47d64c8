"""What a caller's request may be, before anything is done with it. Pure."""

import re

from proxy import errors
from proxy.gateway.headers import Headers

HEAD_LIMIT = 64 << 10
"""Bytes of a request's line and headers, and of its trailers."""

HEADERS_LIMIT = 256
"""How many headers a request may have."""

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
"""The value of ``Allow``. All other methods but CONNECT and TRACE are handed on as well."""

_HOST = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[[\da-fA-F:.]+\])(?::\d*)?")  # RFC 3986, section 3.2, roughly


def escaped(data: bytes) -> bytes:
    """Data whose first line is of ASCII: the parser takes no other target, but curl sends what was typed, in UTF-8."""
    line, end, rest = data.partition(b"\n")
    return re.sub(rb"[\x80-\xff]", lambda match: b"%%%02X" % match[0][0], line) + end + rest


def check(version: str, target: bytes, headers: Headers) -> tuple[int, bool]:
    """Refuse a head that is too large, or does not say what it is for, or where its body ends.

    Returns:
        Length of the body, and whether it is chunked.

    Raises:
        errors.HeadersTooLarge: too much of a head.
        errors.InvalidRequest: of another version, or without the one host that RFC 9112, section 3.2, demands, or with
            a framing that two servers could read in two ways (section 6).
    """
    size = len(target)
    found: dict[bytes, list[bytes]] = {b"host": [], b"content-length": [], b"transfer-encoding": []}
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name in found:
            found[name].append(value)
    if size > HEAD_LIMIT or len(headers) > HEADERS_LIMIT:
        raise errors.HeadersTooLarge(f"More than {HEADERS_LIMIT} headers, or {HEAD_LIMIT} bytes of them.")
    if version not in {"1.0", "1.1"}:
        raise errors.InvalidRequest("The proxy speaks HTTP/1.1.")
    _check_host(version, found[b"host"])
    return _framing(version, found[b"content-length"], found[b"transfer-encoding"])


def _check_host(version: str, hosts: list[bytes]) -> None:
    if len(hosts) > 1 or not (hosts or version == "1.0"):
        raise errors.InvalidRequest("A request has one Host header.")
    if hosts and not _HOST.fullmatch(hosts[0].strip(b" \t")):
        raise errors.InvalidRequest("The Host header names no host.")


def _framing(version: str, lengths: list[bytes], codings: list[bytes]) -> tuple[int, bool]:
    if codings and (len(codings) > 1 or codings[0].lower() != b"chunked" or lengths or version == "1.0"):
        raise errors.InvalidRequest("The only transfer coding is chunked, without Content-Length.")
    if len(lengths) > 1:
        raise errors.InvalidRequest("A request has one Content-Length.")
    return int(lengths[0]) if lengths else 0, bool(codings)


def target_of(method: str, raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Path, query and the two together as they came, of the origin form or the absolute form (RFC 9112, section 3.2).

    Raises:
        errors.InvalidRequest: another form, or a method that is not served.
    """
    if method in {"CONNECT", "TRACE"}:
        raise errors.MethodNotAllowed(f"{method} is not served.")
    target = raw
    if raw[:7].lower() == b"http://" or raw[:8].lower() == b"https://":
        # The authority in it counts for nothing: the upstream is the configured one.
        rest = raw.partition(b"://")[2]
        cut = min((index for mark in b"/?" if (index := rest.find(mark)) >= 0), default=len(rest))
        target = rest[cut:] if rest[cut : cut + 1] == b"/" else b"/" + rest[cut:]
    if not target.startswith(b"/") or b"#" in target:
        raise errors.InvalidRequest("The target of the request is no path.")
    path, _, query = target.partition(b"?")
    return path, query, target
