"""What crosses the proxy and what does not."""

import re
from collections.abc import Iterable, Sequence

Header = tuple[bytes, bytes]
Headers = Sequence[Header]

HOP_BY_HOP = frozenset(
    {
        b"connection",  # RFC 9110, section 7.6.1, as the others up to upgrade
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"proxy-authenticate",  # RFC 9110, section 11.7: between the caller and this proxy
        b"proxy-authorization",
        b"trailer",  # trailers are dropped
    }
)

_REPLACED_IN_REQUEST = frozenset(
    {
        b"host",  # the upstream's own
        b"content-length",  # of the translated body
        b"content-type",  # the successor takes JSON, whatever the tool called it
        b"content-encoding",
        b"content-md5",
        b"digest",
        b"content-digest",
        b"repr-digest",
        b"accept-encoding",  # the answer is to be read here
        b"expect",  # answered here
        b"x-request-id",  # this call's, made where it was absent or unfit
    }
)

KEPT_IN_ERROR = frozenset(
    {
        b"retry-after",  # when the tool may call again
        b"www-authenticate",  # goes with 401 (RFC 9110, section 11.6.1)
        b"x-request-id",  # the one that the service's own support asks for
    }
)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}")
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, section 5.5
# Version ff and ids of zeros are invalid; only versions after 00 may have more at the end.
_TRACEPARENT = re.compile(
    rb"(?!ff|00.{53}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


def translated(request: Headers, request_id: bytes) -> list[Header]:
    """The headers of the successor's request, from those of the legacy call."""
    dropped = HOP_BY_HOP | _REPLACED_IN_REQUEST | named_by_connection(request)
    headers = [header for header in request if header[0] not in dropped]
    headers += [
        (b"content-type", b"application/json"),
        (b"accept-encoding", b"identity"),
        (b"x-request-id", request_id),
    ]
    return headers


def named_by_connection(headers: Headers) -> set[bytes]:
    """The fields that ``Connection`` declares to be hop-by-hop, in lower case."""
    return {token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")}


def first(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header, by its name in lower case."""
    return next((value for key, value in headers if key == name), None)


def kept(headers: Iterable[Header]) -> list[Header]:
    """What an error answer keeps of the successor's headers; a value that no server could send on is dropped."""
    return [
        (name.lower(), value)
        for name, value in headers
        if name.lower() in KEPT_IN_ERROR and _FIELD_VALUE.fullmatch(value)
    ]


def sane_request_id(value: bytes | None) -> bytes | None:
    """A caller's ``X-Request-ID``, unless it is absent, too long, or fit to harm a log."""
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


def trace_id(traceparent: bytes | None) -> str | None:
    """The trace id in a ``traceparent`` (W3C Trace Context, section 3.2)."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None else None
    return found[1].decode() if found else None
