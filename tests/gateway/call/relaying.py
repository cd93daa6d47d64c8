"""Requests and responses as bytes, through a proxy whose caller and upstream a test plays by hand."""

import gzip
from typing import Any

from proxy.gateway.call.body import FORWARDED_FROM
from tests.support.by_hand import ByHand
from tests.support.proxy import Proxy
from tests.support.waiting import until
from tests.support.wire import Answer, Head, Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(target: bytes = b"/x", headers: bytes = b"", method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return method + b" " + target + b" HTTP/" + version + b"\r\nHost: proxy\r\n" + headers + b"\r\n"


def post(body: bytes, target: bytes = b"/x", headers: bytes = b"") -> bytes:
    return get(target, b"Content-Length: %d\r\n" % len(body) + headers, b"POST") + body


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


BEGIN = bytes(FORWARDED_FROM)
"""How much of a body must have arrived before a connection to the service is taken."""


def begun(length: int) -> bytes:
    """A request of which so many bytes are still to come."""
    return get(b"/x", b"Content-Length: %d\r\n" % (len(BEGIN) + length), b"PUT") + BEGIN


def begun_at(hands: ByHand) -> Wire:
    """The connection to the service on which that request has arrived."""
    upstream = hands.upstream()
    upstream.head()
    assert upstream.body(len(BEGIN)) == BEGIN
    return upstream


def framed(body: bytes, framing: str, status: bytes = b"200 OK") -> bytes:
    start = b"HTTP/1.1 " + status + b"\r\n"
    if framing == "length":
        return start + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "chunks":
        return start + b"Transfer-Encoding: chunked\r\n\r\n" + (chunk(body) if body else b"") + b"0\r\n\r\n"
    return start + b"\r\n" + body


def forwarded(hands: ByHand, request: bytes, answer: bytes = OK) -> Head:
    """The head of what goes upstream for a request."""
    hands.caller(request)
    upstream = hands.upstream()
    head = upstream.head()
    upstream.send(answer)
    return head


def answered(hands: ByHand, answer: bytes, request: bytes | None = None) -> Answer:
    """What the caller gets for an answer."""
    request = request or get()
    caller = hands.caller(request)
    upstream = hands.upstream()
    upstream.head()
    upstream.send(answer)
    return caller.answer(request.split()[0].decode())


def record_of(proxy: Proxy, request_id: bytes) -> dict[str, Any]:
    """The one record of a call."""
    [record] = until(lambda: [r for r in proxy.records() if r["request_id"] == request_id.decode()])
    return dict(record)


def pour(wire: Wire, size: int) -> None:
    piece = bytes(1 << 20)
    for _ in range(size >> 20):
        wire.send(piece)


BODIES = [b"x", b"0\r\n\r\n", bytes(range(256)) * 300, gzip.compress(b"a" * 100_000)]
