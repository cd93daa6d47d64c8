"""What an upstream can do wrong, and what each caller must then get; proxy/withdrawn/README.md lists the same."""

import random
import socket
import threading
from functools import partial
from typing import Any, NamedTuple

import trustme

from tests.support import certificates
from tests.support.certificates import DAY, NOW, cut_off, server_context
from tests.support.upstream import RUN, Script, closes, reply, resets, sends
from tests.support.upstream import stays_silent as silent
from tests.support.wire import Answer
from tests.system import worlds
from tests.system.worlds import IMPATIENT, Making, does, shows


class Seen(NamedTuple):
    """What the caller of a trigger gets, and what the record says of it.

    Attributes:
        status, code: of the answer, and in the record.
        started: ``run_started`` of the answer's details.
        error: of its ``Proxy-Status``.
        outcome, upstream: in the record, which may know the status of what the service had begun to answer.
        broken: the answer broke off after its head.
    """

    status: int
    code: str | None = None
    started: str | None = None
    error: str | None = None
    outcome: str = "forwarded"
    upstream: int | None = None
    broken: bool = False


RAN = Seen(200, upstream=200)
TOO_LATE = Seen(504, "UpstreamTimeout", "unknown", "http_response_timeout", "timeout")
LOST = Seen(502, "UpstreamConnectionLost", "unknown", "connection_terminated", "upstream_error")
NO_HTTP = Seen(502, "UpstreamInvalidAnswer", "unknown", "http_protocol_error", "upstream_error")


def told(answer: Answer | None) -> tuple[Any, ...]:
    """What an answer says."""
    if answer is None:
        return ("it broke off",)
    error = answer.json() if answer.status >= 400 else {}
    _, _, why = (answer.header("proxy-status") or "").partition("; error=")
    return answer.status, error.get("error_code"), error.get("details", {}).get("run_started"), why or None


def unreachable(error: str) -> Seen:
    """No connection was made."""
    return Seen(502, "UpstreamUnreachable", "no", error, "unreachable")


def wrapped(status: int, started: str) -> Seen:
    """The service's own error, put into words."""
    return Seen(status, "UpstreamError", started, None, "upstream_error", status)


class Fault(NamedTuple):
    """Something that an upstream does, to five calls at once (`worlds.CALLS`).

    Attributes:
        row: what proxy/withdrawn/README.md says that the service does.
        making: what it really does.
        trigger: what the caller of a trigger gets, and of whatever else starts a run.
        streamed: what others get, to whom answers go as they come; what that of a trigger gets, where it is None.
        read: what a call gets that changes nothing; what others get, where it is None.
        connections: that are made, at most.
        begun: requests that begin to come in at the upstream.
    """

    row: str
    making: Making
    trigger: Seen
    streamed: Seen | None = None
    read: Seen | None = None
    connections: int = 5
    begun: int = 5


def in_the_body(row: str, making: Making, seen: Seen) -> Fault:
    """What comes of an answer that has begun: who gets it as it comes has its status already."""
    begun = seen._replace(upstream=200)
    return Fault(row, making, begun, streamed=begun._replace(status=200, broken=True))


# --- how it does it

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SIZED = HEAD + b"Content-Length: %d\r\n\r\n" % len(RUN)


def cut(data: bytes) -> Script:
    """Send some bytes, and break the connection with a reset."""

    def script(connection: socket.socket) -> None:
        connection.sendall(data)
        resets(connection)

    return script


def drips(at_once: bytes, data: bytes) -> Script:
    """Send some bytes, and others one by one, twenty times as fast as one a second."""

    def script(connection: socket.socket) -> None:
        connection.sendall(at_once)
        for byte in data:
            threading.Event().wait(0.05)
            connection.sendall(bytes([byte]))

    return script


def waits_for_more(connection: socket.socket) -> None:
    """Say nothing until the other end has gone."""
    connection.recv(1)


def slowly(script: Script) -> Making:
    """What takes longer than the proxy waits."""
    return partial(does, script, patience=IMPATIENT)


def at_once(script: Script) -> Making:
    """What does not."""
    return partial(does, script)


GARBAGE = {
    "another protocol": b"220 mail.example ESMTP\r\n",
    "TLS": b"\x15\x03\x03\x00\x02\x02\x28",
    "noise": random.Random(1).randbytes(5000),  # noqa: S311
    "a header without a name": b"HTTP/1.1 200 OK\r\n: a\r\n\r\n",
    "a zero byte in a header": b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "a control byte in a header": b"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 2\r\n\r\n{}",
    "a bare return in a header": b"HTTP/1.1 200 OK\r\nX-A: a\rX-B: b\r\nContent-Length: 2\r\n\r\n{}",
    "a length of thousands of digits": HEAD + b"Content-Length: " + b"0" * 5000 + b"2\r\n\r\n{}",
    "a length that nobody can count": HEAD + b"Content-Length: 9223372036854775808\r\n\r\n{}",
    "an interim answer with a body": b"HTTP/1.1 103 X\r\nContent-Length: 2\r\n\r\n" + SIZED + RUN,
    "another protocol's answer": b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: a\r\n" * 20_000,
    "another protocol from now on": b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
}

CERTIFICATES = {
    "an expired certificate": server_context(begins=NOW - 2 * DAY, ends=NOW - DAY),
    "a certificate that is not yet good": server_context(begins=NOW + DAY, ends=NOW + 2 * DAY),
    "another host's certificate": server_context(host="127.0.0.2"),
    "a certificate of an unknown authority": server_context(ca=trustme.CA()),
    "a certificate that it signed itself": certificates.self_signed(),
    "a client's certificate": certificates.for_clients(),
}
HANDSHAKES = {
    "speaks old TLS": (certificates.speaks_old_tls(), "tls_protocol_error"),
    "speaks HTTP": (cut_off(sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")), "tls_protocol_error"),
    "closes": (cut_off(closes()), "connection_terminated"),
    "resets": (cut_off(resets), "connection_terminated"),
    "closes in its first words": (cut_off(closes(b"\x16\x03\x03\x00\x7a\x02")), "connection_terminated"),
}

# --- the table

SILENT = "accepts, and says nothing"
ONLY_100 = "sends `100` and nothing more"
DRIPS = "answers a byte a second"
IN_HEADERS = "breaks off before its headers, or in them"
IN_BODY = "breaks off in its body"
IDLE = "closes an idle connection as it is used again"
NONSENSE = "sends garbage, or a status or a header that cannot be"
CERTIFICATE = "shows a wrong certificate"
HANDSHAKE = "speaks an old TLS or none, breaks off in the handshake, or does not accept the proxy's certificate"
ERROR_PAGE = "answers with an error page, or with an empty error"
NO_RUN = "answers with a redirect, over 4 MiB, or something that is no run"

ANSWERS = {
    "a run": Fault("starts a run", at_once(reply()), RAN),
    "an error": Fault(
        "answers with an error",
        at_once(reply(503, b'{"error_code":"Unavailable"}')),
        Seen(503, "Unavailable", None, None, "upstream_error", 503),
    ),
    "a page for a wrong call": Fault(ERROR_PAGE, at_once(reply(404, b"<h1>")), wrapped(404, "no")),
    "a page of a load balancer": Fault(ERROR_PAGE, at_once(reply(502, b"<h1>")), wrapped(502, "unknown")),
    "an empty error": Fault(ERROR_PAGE, at_once(reply(504, b"")), wrapped(504, "unknown")),
    "a redirect": Fault(NO_RUN, at_once(reply(307, b"", {"Location": "/x"})), NO_HTTP._replace(upstream=307)),
    "no run": Fault(NO_RUN, at_once(reply(200, b"{}")), NO_HTTP._replace(upstream=200)),
    "too much": Fault(
        NO_RUN,
        at_once(reply(200, b" " * (4 << 20) + RUN)),
        NO_HTTP._replace(error="http_response_body_size", upstream=200),
    ),
}
"""What a service may do: it goes to others than the caller of a trigger as it is."""

FAULTS = {
    "has no name": Fault("has no address", worlds.has_no_address, unreachable("dns_error"), connections=0, begun=0),
    "refuses": Fault(
        "refuses the connection", worlds.refuses, unreachable("connection_refused"), connections=0, begun=0
    ),
    "accepts none": Fault(
        "accepts no connection", worlds.accepts_none, unreachable("connection_timeout"), connections=0, begun=0
    ),
    "says nothing": Fault(SILENT, slowly(silent), TOO_LATE),
    "stops in the headers": Fault(SILENT, slowly(sends(HEAD[:-9])), TOO_LATE),
    "stops in the body": in_the_body(SILENT, slowly(sends(SIZED + RUN[:9])), TOO_LATE),
    "100": Fault(ONLY_100, slowly(sends(b"HTTP/1.1 100 Continue\r\n\r\n")), TOO_LATE),
    "102 again and again": Fault(ONLY_100, slowly(drips(b"", b"HTTP/1.1 102 X\r\n\r\n" * 9)), TOO_LATE),
    "drips its headers": Fault(DRIPS, slowly(drips(b"", SIZED)), TOO_LATE),
    "drips its body": Fault(DRIPS, slowly(drips(SIZED, RUN)), TOO_LATE._replace(upstream=200), streamed=RAN),
    "closes before the headers": Fault(IN_HEADERS, at_once(closes()), LOST),
    "resets before the headers": Fault(IN_HEADERS, at_once(resets), LOST),
    "closes in the headers": Fault(IN_HEADERS, at_once(closes(HEAD[:-9])), LOST),
    "resets in the headers": Fault(IN_HEADERS, at_once(cut(HEAD[:-9])), LOST),
    "closes after 100": Fault(IN_HEADERS, at_once(closes(b"HTTP/1.1 100 Continue\r\n\r\n")), LOST),
    "closes in the body": in_the_body(IN_BODY, at_once(closes(SIZED + RUN[:9])), LOST),
    "resets in the body": in_the_body(IN_BODY, at_once(cut(SIZED + RUN[:9])), LOST),
    "closes an idle connection": Fault(
        IDLE, partial(worlds.closes_when_used_again, closes()), LOST, read=RAN, connections=1, begun=6
    ),
    "resets an idle connection": Fault(
        IDLE, partial(worlds.closes_when_used_again, resets), LOST, read=RAN, connections=1, begun=6
    ),
    **{f"sends {what}": Fault(NONSENSE, at_once(sends(data)), NO_HTTP) for what, data in GARBAGE.items()},
    "sends an endless trailer": in_the_body(
        NONSENSE,
        at_once(sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: " + b"x" * (1 << 20))),
        NO_HTTP,
    ),
    **{
        f"sends the status {status}": Fault(NONSENSE, at_once(reply(status)), NO_HTTP._replace(upstream=status))
        for status in (600, 999)
    },
    **{
        f"shows {what}": Fault(CERTIFICATE, partial(shows, tls), unreachable("tls_certificate_error"), begun=0)
        for what, tls in CERTIFICATES.items()
    },
    **{
        f"{what} in the handshake": Fault(HANDSHAKE, partial(shows, tls), unreachable(error), begun=0)
        for what, (tls, error) in HANDSHAKES.items()
    },
    "says nothing in the handshake": Fault(
        HANDSHAKE,
        partial(shows, cut_off(waits_for_more), patience={"connect_timeout": 0.9}),  # as in `accepts_none`
        unreachable("connection_timeout"),
        begun=0,
    ),
    "asks for a certificate of the proxy's own": Fault(
        HANDSHAKE, partial(shows, certificates.asks_for_a_certificate()), unreachable("tls_alert_received"), begun=0
    ),
}
"""What a service may do wrong, to all kinds of calls."""


class Course(NamedTuple):
    """What comes of many calls, of which each gets something of its own.

    Attributes:
        row: what proxy/withdrawn/README.md says that the service does.
        seen: what there is.
    """

    row: str
    seen: set[Seen]


RESTARTED = Course("is restarted under load", {RAN, LOST, unreachable("connection_refused")})
MOVED = Course("changes its address", {RAN})
