"""What crosses the proxy and what does not."""

import functools
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from proxy import errors
from proxy.errors import PROXY

Header = tuple[bytes, bytes]
Headers = Sequence[Header]

HOP_BY_HOP: dict[bytes, str] = {
    b"connection": "names what concerns one connection only (RFC 9110, section 7.6.1)",
    b"keep-alive": "as Connection",
    b"proxy-connection": "as Connection, from before it was agreed on",
    b"te": "what the other end takes after chunks; the proxy drops trailers",
    b"trailer": "the proxy drops trailers",
    b"transfer-encoding": "each connection has its own framing",
    b"upgrade": "no upgrade is carried",
    b"proxy-authenticate": "between the caller and this proxy (RFC 9110, section 11.7)",
    b"proxy-authorization": "between the caller and this proxy: the service must not get it",
}
"""Fields that cross in neither direction, and why. So do those that ``Connection`` names."""

REPLACED: dict[bytes, str] = {
    b"host": "the upstream's own",
    b"expect": "answered here",
    b"via": "this proxy is added (RFC 9110, section 7.6.3)",
    b"x-forwarded-for": "the peer is added to what a trusted peer sent, or stands alone",
    b"x-forwarded-proto": "as X-Forwarded-For",
    b"x-forwarded-host": "as X-Forwarded-For",
}
"""Fields of a request that the proxy writes anew, and how."""

TRANSLATED: dict[bytes, str] = {
    b"content-length": "of another body",
    b"content-type": "the successor takes JSON, whatever the tool called it",
    b"content-encoding": "the translated body has none",
    b"content-md5": "of another body",
    b"digest": "of another body",
    b"content-digest": "of another body",
    b"repr-digest": "of another body",
    b"accept-encoding": "the answer is to be read here",
    b"x-request-id": "this call's, made where it was absent or unfit",
}
"""Fields that a translated request gets anew besides, and why."""

WHOLE: dict[bytes, str] = {
    b"content-length": "of the body, which is whole by now",
    b"transfer-encoding": "as Content-Length",
    b"accept-encoding": "the answer is to be read here, too",
    b"x-request-id": "this call's, made where it was absent or unfit",
}
"""Fields that a request which starts a run gets anew where its body goes on as it came, and why."""

KEPT_IN_ERROR: dict[bytes, str] = {
    b"retry-after": "when the tool may call again",
    b"www-authenticate": "goes with 401 (RFC 9110, section 11.6.1)",
    b"x-request-id": "the one that the service's own support asks for",
}
"""Fields that the answer to a translated call keeps where it is an error, and why."""

# What strangers say of earlier hops in X-Forwarded-For, they may say in the words of RFC 7239, too.
_FROM_STRANGERS = {b"forwarded"}
_STAYS_BEHIND = {
    trusted: frozenset(HOP_BY_HOP.keys() | REPLACED.keys() | (set() if trusted else _FROM_STRANGERS))
    for trusted in (True, False)
}
_NOT_TRANSLATED = {trusted: names | TRANSLATED.keys() for trusted, names in _STAYS_BEHIND.items()}

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}")
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, section 5.5
# Version ff and ids of zeros are invalid; only versions after 00 may have more at the end.
_TRACEPARENT = re.compile(
    rb"(?!ff|00.{53}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


class Hop(NamedTuple):
    """Where a request came from.

    Attributes:
        peer: address of the other end of the connection.
        trusted: whether what the peer says of earlier hops is believed.
        scheme: of this connection.
        version: of HTTP, as in ``1.1``.
    """

    peer: str | None
    trusted: bool
    scheme: str
    version: str


def forwarded(request: Headers, hop: Hop) -> list[Header]:
    """The headers of a request that is handed on as it is, but for ``Host``."""
    # The framing that the caller chose, on a connection of its own.
    framing = [(name, b"chunked") for name, _ in request if name == b"transfer-encoding"]
    told = dict(reversed(request))
    return [*_untouched(request, told, _STAYS_BEHIND[hop.trusted]), *framing, *_hops(request, told, hop)]


def translated(request: Headers, hop: Hop, request_id: bytes) -> list[Header]:
    """The headers of the successor's request, from those of the legacy call, but for ``Host`` and the length."""
    told = dict(reversed(request))
    return [
        *_untouched(request, told, _NOT_TRANSLATED[hop.trusted]),
        *_hops(request, told, hop),
        (b"content-type", b"application/json"),
        (b"accept-encoding", b"identity"),
        (b"x-request-id", request_id),
    ]


def whole(request: Headers, hop: Hop, request_id: bytes) -> list[Header]:
    """The headers of a request whose whole body goes on as it came, but for ``Host`` and the length."""
    own = [(b"accept-encoding", b"identity"), (b"x-request-id", request_id)]
    return [*(header for header in forwarded(request, hop) if header[0] not in WHOLE), *own]


def answered(answer: Headers) -> list[Header]:
    """The headers of an answer that is handed on as it is."""
    lower = [(name.lower(), value) for name, value in answer]
    gone = HOP_BY_HOP.keys() | named_by_connection(lower)
    return [*(header for header in lower if header[0] not in gone), (b"via", _via("1.1"))]


def kept(answer: Iterable[Header]) -> list[Header]:
    """What an error answer keeps of the successor's headers; a value that no server could send on is dropped."""
    return [
        (name.lower(), value)
        for name, value in answer
        if name.lower() in KEPT_IN_ERROR and _FIELD_VALUE.fullmatch(value)
    ]


def check(request: Headers) -> None:
    """Refuse what the proxy cannot carry.

    Raises:
        errors.LoopDetected: the request has been through this proxy.
        errors.UpgradeRefused: it asks for a WebSocket.
    """
    for name, value in request:
        if name == b"via" and any(hop.lower().split()[1:2] == [PROXY.encode()] for hop in value.split(b",")):
            raise errors.LoopDetected("The call has been through this proxy already; check upstream.url.")
        if name == b"upgrade" and b"websocket" in value.lower():
            raise errors.UpgradeRefused("The proxy carries no WebSocket.")


def named_by_connection(headers: Headers) -> set[bytes]:
    """The fields that ``Connection`` declares to be hop-by-hop, in lower case.

    Never ``Content-Length``: without it, the body would be read as another request.
    """
    named = {token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")}
    return named - {b"content-length"}


def first(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header, by its name in lower case."""
    return next((value for key, value in headers if key == name), None)


def values(headers: Headers, name: bytes) -> list[bytes]:
    """All values of a header, by its name in lower case."""
    return [value for key, value in headers if key == name]


def sane_request_id(value: bytes | None) -> bytes | None:
    """A caller's ``X-Request-ID``, unless it is absent, too long, or fit to harm a log."""
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


def trace_id(traceparent: bytes | None) -> str | None:
    """The trace id in a ``traceparent`` (W3C Trace Context, section 3.2)."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None else None
    return found[1].decode() if found else None


def _untouched(request: Headers, told: Container[bytes], gone: AbstractSet[bytes]) -> list[Header]:
    if b"connection" in told:
        gone = gone | named_by_connection(request)
    return [header for header in request if header[0] not in gone]


def _hops(request: Headers, told: Mapping[bytes, bytes], hop: Hop) -> list[Header]:
    """Where a request came from.

    Args:
        request: its headers.
        told: the first value of each: most requests tell nothing of earlier hops.
        hop: the last one.
    """
    hops = [(b"via", value) for value in values(request, b"via")] if b"via" in told else []
    hops.append((b"via", _via(hop.version)))
    ours = (
        (b"x-forwarded-for", (hop.peer or "unknown").encode()),
        (b"x-forwarded-proto", hop.scheme.encode()),
        (b"x-forwarded-host", told.get(b"host", b"")),
    )
    for name, own in ours:
        known = [*values(request, name), own] if hop.trusted and name in told else [own]
        if value := b", ".join(filter(None, known)):
            hops.append((name, value))
    return hops


@functools.lru_cache(8)
def _via(version: str) -> bytes:
    return b"%b %b" % (version.encode(), PROXY.encode())
