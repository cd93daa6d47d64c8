"""Which headers cross the proxy, and which are removed, replaced or refused."""

import functools
import itertools
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from proxy import errors
from proxy.callers.trusted_proxies import UNIX_PEER
from proxy.errors import PROXY

Header = tuple[bytes, bytes]
Headers = Sequence[Header]

HOP_BY_HOP: dict[bytes, str] = {
    b"connection": "applies to one connection (RFC 9110, section 7.6.1)",
    b"keep-alive": "applies to one connection",
    b"proxy-connection": "an old, never standardized spelling of Connection",
    b"te": "announces trailers, which the proxy drops",
    b"trailer": "announces trailers, which the proxy drops",
    b"transfer-encoding": "each connection has its own framing",
    b"upgrade": "the proxy supports no upgrade",
    b"proxy-authenticate": "between the caller and this proxy (RFC 9110, section 11.7)",
    b"proxy-authorization": "a secret between the caller and this proxy",
}
"""Fields that are removed in both directions, and why; so are those that ``Connection`` names."""

REPLACED: dict[bytes, str] = {
    b"host": "the upstream's host",
    b"expect": "the proxy has sent 100 Continue itself",
    b"via": "this proxy is added (RFC 9110, section 7.6.3)",
    b"x-forwarded-for": "the peer is added if it is trusted, and otherwise replaces the value",
    b"x-forwarded-proto": "as X-Forwarded-For",
    b"x-forwarded-host": "as X-Forwarded-For",
}
"""Fields of a request that the proxy replaces, and with what."""

TRANSLATED: dict[bytes, str] = {
    b"content-length": "the body is another one",
    b"content-type": "the successor takes JSON, whatever the tool called it",
    b"content-encoding": "the translated body has none",
    b"content-md5": "the body is another one",
    b"digest": "the body is another one",
    b"content-digest": "the body is another one",
    b"repr-digest": "the body is another one",
    b"accept-encoding": "the proxy reads the response",
    b"x-request-id": "the ID of the call, which is new if there was none or it was not valid",
}
"""Fields that are replaced as well if the body is translated, and why."""

WHOLE: dict[bytes, str] = {
    b"content-length": "the proxy has read the whole body, and knows its length",
    b"transfer-encoding": "as Content-Length",
    b"accept-encoding": "the proxy reads the response",
    b"x-request-id": "the ID of the call, which is new if there was none or it was not valid",
}
"""Fields that are replaced as well if a call starts a run and its body is not translated, and why."""

KEPT_IN_ERROR: dict[bytes, str] = {
    b"retry-after": "when the tool may call again",
    b"www-authenticate": "required with 401 (RFC 9110, section 11.6.1)",
    b"x-request-id": "the service's support asks for it",
}
"""Fields of the service's response that the response to a failed trigger keeps, and why."""

CREDENTIALS = frozenset({b"authorization"})
"""Fields that no call may repeat, because the proxy and the service might use different tokens."""

SINGLE = CREDENTIALS | {b"user-agent"}
"""Single-valued fields (RFC 9110, section 5.3) that the proxy uses: no call of a withdrawn endpoint may repeat them."""

LENGTH_DIGITS = 20
"""Maximum digits of a ``Content-Length``. No 64-bit number has more, and Python refuses to parse thousands."""


def _spelled(names: Iterable[bytes]) -> frozenset[bytes]:
    """Names in every spelling that servers may read as them: CGI (RFC 3875, section 4.1.18) turns - into _."""
    return frozenset(
        bytes(spelling)
        for name in names
        for spelling in itertools.product(*(b"-_" if byte == ord("-") else (byte,) for byte in name))
    )


# The proxy uses these and forwards them. No second value may reach the service under another spelling.
_USED = (b"content-length", b"user-agent", b"x-request-id", b"max-forwards")
_LOOKALIKES = _spelled(_USED).difference(_USED)

_HOP_BY_HOP = _spelled(HOP_BY_HOP)
# The same claims about earlier hops as in X-Forwarded-For, in the syntax of RFC 7239.
_UNTRUSTED = {b"forwarded"}
_REMOVED = {
    trusted: _HOP_BY_HOP | _spelled(REPLACED) | _LOOKALIKES | (set() if trusted else _UNTRUSTED)
    for trusted in (True, False)
}
_REMOVED_TRANSLATED = {trusted: names | _spelled(TRANSLATED) for trusted, names in _REMOVED.items()}
_REMOVED_WHOLE = _spelled(WHOLE)

_HOP_FIELDS = frozenset({b"via", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}")
_HOPS = re.compile(rb"\d{1,9}")
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, section 5.5
# Version ff and IDs of zeros are invalid; only versions after 00 may have more at the end.
_TRACEPARENT = re.compile(
    rb"(?!ff|00.{53}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


class Hop(msgspec.Struct, frozen=True, gc=False):
    """Where a request came from.

    Attributes:
        peer: address of the other end of the connection.
        trusted: whether the peer is a trusted proxy.
        scheme: of this connection.
        version: of HTTP, as in ``1.1``.
    """

    peer: str | None
    trusted: bool
    scheme: str
    version: str


# In what follows, `first_values` are the first values of the headers of `request`, by name.


def forwarded(request: Headers, first_values: Mapping[bytes, bytes], hop: Hop) -> list[Header]:
    """The headers of a request that is passed through, without ``Host``."""
    # A chunked body is still chunked, on another connection.
    framing = [(b"transfer-encoding", b"chunked")] if b"transfer-encoding" in first_values else []
    return [
        *_untouched(request, first_values, _REMOVED[hop.trusted]),
        *framing,
        *_hops(request, first_values, hop),
    ]


def translated(request: Headers, first_values: Mapping[bytes, bytes], hop: Hop, request_id: bytes) -> list[Header]:
    """The headers of a trigger's request to the successor, without ``Host`` and ``Content-Length``."""
    return [
        *_untouched(request, first_values, _REMOVED_TRANSLATED[hop.trusted]),
        *_hops(request, first_values, hop),
        (b"content-type", b"application/json"),
        (b"accept-encoding", b"identity"),
        (b"x-request-id", request_id),
    ]


def whole(request: Headers, first_values: Mapping[bytes, bytes], hop: Hop, request_id: bytes) -> list[Header]:
    """The headers of a request whose whole body was read and is unchanged, without ``Host`` and ``Content-Length``."""
    own = [(b"accept-encoding", b"identity"), (b"x-request-id", request_id)]
    return [*(header for header in forwarded(request, first_values, hop) if header[0] not in _REMOVED_WHOLE), *own]


def response_headers(answer: Headers) -> list[Header]:
    """The headers of a response that is passed on."""
    lower = [(name.lower(), value.strip(b" \t")) for name, value in answer]
    return [*_without(lower, _HOP_BY_HOP, named_by_connection(lower)), (b"via", _via("1.1"))]


def error_headers(answer: Iterable[Header]) -> list[Header]:
    """The headers that an error response keeps; values that are not valid are dropped."""
    return [
        (name.lower(), value.strip(b" \t"))
        for name, value in answer
        if name.lower() in KEPT_IN_ERROR and _FIELD_VALUE.fullmatch(value)
    ]


def check(request: Headers, first_values: Mapping[bytes, bytes], version: str, single: Container[bytes]) -> None:
    """Refuse a request that the proxy cannot forward.

    Args:
        request: the headers.
        first_values: the first value of each header.
        version: of HTTP, as in ``1.1``.
        single: fields that may not be repeated.

    Raises:
        errors.LoopDetected: the request has passed through this proxy before.
        errors.UpgradeRefused: it asks for a WebSocket.
        errors.InvalidRequest: it repeats one of the `single` fields.
    """
    if b"via" in first_values and any(hop.split()[1:2] == [PROXY.encode()] for hop in members(request, b"via")):
        raise errors.LoopDetected("The call has passed through this proxy already; check upstream.url.")
    if b"upgrade" in first_values and version != "1.0" and _asks_for_websocket(request):
        raise errors.UpgradeRefused("The proxy does not support WebSocket.")
    if len(first_values) < len(request):
        _check_single(request, single)


def _asks_for_websocket(request: Headers) -> bool:
    """Whether a request asks for a WebSocket: Upgrade counts only if Connection names it (RFC 9110, section 7.8)."""
    protocols = {protocol.partition(b"/")[0] for protocol in members(request, b"upgrade")}
    return b"websocket" in protocols and b"upgrade" in members(request, b"connection")


def _check_single(request: Headers, single: Container[bytes]) -> None:
    names = [name for name, _ in request if name in single]
    for name in names:
        if (count := names.count(name)) > 1:
            field = name.decode("latin-1").title()
            raise errors.InvalidRequest(f"The call has {count} {field} headers, which may differ. Send {field} once.")


def one_hop_less(request: Headers) -> list[Header]:
    """The headers of an OPTIONS request with its ``Max-Forwards`` decremented (RFC 9110, section 7.6.2).

    Raises:
        errors.InvalidRequest: ``Max-Forwards`` is not one number.
    """
    given = values(request, b"max-forwards")
    if len(given) != 1 or not _HOPS.fullmatch(given[0]):
        raise errors.InvalidRequest("Max-Forwards must be sent once, with up to nine digits.")
    left = (b"max-forwards", b"%d" % (int(given[0]) - 1))
    return [left if header[0] == left[0] else header for header in request]


def ends_here(target: bytes, request: Headers) -> bool:
    """Whether an OPTIONS request is for the proxy itself (RFC 9110, sections 7.6.2 and 9.3.7)."""
    given = values(request, b"max-forwards")
    return target == b"*" or (len(given) == 1 and given[0] != b"" and not given[0].strip(b"0"))


def members(headers: Headers, name: bytes) -> list[bytes]:
    """The members of a list field (RFC 9110, section 5.6.1) in lower case, by its name in lower case."""
    return [member.strip(b" \t").lower() for value in values(headers, name) for member in value.split(b",")]


def named_by_connection(headers: Headers) -> set[bytes]:
    """The fields that ``Connection`` declares to be hop-by-hop, in lower case and with - for _.

    Never ``Content-Length``: without it, the body would be read as another request.
    """
    return {_folded(member) for member in members(headers, b"connection")} - {b"content-length"}


def first(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header, by its name in lower case."""
    return next((value for key, value in headers if key == name), None)


def values(headers: Headers, name: bytes) -> list[bytes]:
    """All values of a header, by its name in lower case."""
    return [value for key, value in headers if key == name]


def sane_request_id(value: bytes | None) -> bytes | None:
    """A caller's ``X-Request-ID``, unless it is too long or has characters that could harm a log."""
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


def trace_id(traceparent: bytes | None) -> str | None:
    """The trace ID in a ``traceparent`` (W3C Trace Context, section 3.2)."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None else None
    return found[1].decode() if found else None


def _untouched(request: Headers, first_values: Container[bytes], gone: AbstractSet[bytes]) -> list[Header]:
    return _without(request, gone, named_by_connection(request) if b"connection" in first_values else set())


def _without(headers: Headers, gone: AbstractSet[bytes], named: AbstractSet[bytes]) -> list[Header]:
    """The headers that are neither in `gone` nor named by ``Connection``, which rarely names any others."""
    if named <= gone:
        return [header for header in headers if header[0] not in gone]
    return [header for header in headers if header[0] not in gone and _folded(header[0]) not in named]


def _folded(name: bytes) -> bytes:
    """A field's name as read by servers that take ``_`` for ``-``."""
    return name.replace(b"_", b"-")


def _hops(request: Headers, first_values: Mapping[bytes, bytes], hop: Hop) -> Headers:
    """The headers that say where a request came from.

    Args:
        request: all headers.
        first_values: the first value of each header.
        hop: the last hop.
    """
    host = first_values.get(b"host", b"")
    own = _last_hop(hop.peer, hop.scheme, hop.version, host)
    if host and _HOP_FIELDS.isdisjoint(first_values):
        return own
    hops = [(b"via", value) for value in values(request, b"via")]
    for name, value in own:
        known = values(request, name) if hop.trusted and name != b"via" else []
        if all_values := b", ".join(filter(None, [*known, value])):
            hops.append((name, all_values))
    return hops


@functools.lru_cache(128)  # callers choose the host
def _last_hop(peer: str | None, scheme: str, version: str, host: bytes) -> Headers:
    return (
        (b"via", _via(version)),
        (b"x-forwarded-for", b"unknown" if peer in {None, UNIX_PEER} else peer.encode()),
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-host", host),
    )


@functools.lru_cache(8)
def _via(version: str) -> bytes:
    return b"%b %b" % (version.encode(), PROXY.encode())
