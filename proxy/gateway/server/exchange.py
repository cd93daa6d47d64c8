"""One request of a caller and its answer, as ASGI sees them."""

import asyncio
import http
import socket
import struct
import uuid
from typing import Any, Protocol

from starlette.types import Message, Scope
from uvicorn.server import ServerState

from proxy import errors
from proxy.gateway.delivery import Delivery, State
from proxy.gateway.headers import Header, Headers, members
from proxy.gateway.server.request import METHODS
from proxy.output.diagnostics import log

BUFFER_LIMIT = 64 << 10
"""Bytes of a request's body that may wait for the application before the connection is read no further."""

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b" % (status, status.phrase.encode()) for status in http.HTTPStatus}
_NO_BODY = frozenset({204, 304})


class Connection(Protocol):
    """What an exchange needs of the connection that it is on.

    Attributes:
        app: answers.
        loop: the connection's.
        state: the server's, with the headers that it adds to every answer.
        transport: writes to the caller.
        writable: whether it may be written to.
    """

    app: Any
    loop: asyncio.AbstractEventLoop
    state: ServerState
    transport: asyncio.Transport
    writable: asyncio.Event

    def made_progress(self) -> None:
        """Begin to count the time for a body anew."""

    def finished(self, exchange: "Exchange") -> None:
        """Go on after an answer."""


class Exchange:
    """One request and its answer, as ASGI sees them (spec version 2.4: sending to nobody raises `OSError`)."""

    def __init__(self, connection: Connection, scope: Scope, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.more_body = False
        self._connection = connection
        self._scope = scope
        self._method, self._version = scope["method"], scope["http_version"]
        self._body = bytearray()
        self._arrival: asyncio.Future[None] | None = None  # of more of the body, where that is waited for
        self._broken_off = False
        self.delivery = scope["delivery"] = Delivery()
        self._continue = (
            b"expect" in scope["fields"]
            and self._version == "1.1"
            and b"100-continue" in members(scope["headers"], b"expect")
        )
        self._given_all = False
        self._head: bytes | None = None  # kept until the body's first piece, so that both go in one write
        self._begun = self._ended = self._chunked = False
        self._left: int | None = None

    def start(self) -> None:
        """Have the application answer."""
        self._task = self._connection.loop.create_task(self._run())
        self._connection.state.tasks.add(self._task)

    async def _run(self) -> None:
        try:
            await self._connection.app(self._scope, self.receive, self.send)
        except OSError:
            pass
        except Exception as fault:
            log.error("internal_error", during="answering a request", exception=type(fault).__name__)
        finally:
            self._connection.state.tasks.discard(self._task)
            if not self._ended:
                self.abort()

    @property
    def waiting(self) -> bool:
        """Whether more of the body is waited for."""
        return self.more_body and self._arrival is not None

    def abort(self) -> None:
        """Break the connection off: an answer that is not whole must not look whole."""
        if self._begun and self._left is None and not self._chunked:  # it would be whole with the connection's end
            reset(self._connection.transport)
        else:
            self._connection.transport.abort()

    def feed(self, body: bytes) -> None:
        """A piece of the request's body."""
        if self._ended:
            return
        self._continue = False
        self._body += body
        if len(self._body) > BUFFER_LIMIT:
            self._connection.transport.pause_reading()
        self._wake()

    def feed_end(self) -> None:
        """The end of the request's body."""
        self.more_body = False
        self._wake()

    def break_off(self) -> None:
        """What follows of the request's body cannot be read."""
        self.keep_alive = False
        self._broken_off = True
        self._wake()

    def disconnect(self) -> None:
        """The connection is lost."""
        self.delivery.becomes(State.LOST)
        self._wake()

    async def receive(self) -> Message:
        """ASGI's receive."""
        while self.more_body or self._given_all:  # what has come whole is given, whatever came after it
            if self._over:
                return {"type": "http.disconnect"}
            if self._body:
                break
            await self._wait()
        body = bytes(self._body)
        self._body.clear()
        self._given_all = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    @property
    def _over(self) -> bool:
        return self._broken_off or self._ended or self.delivery.state is State.LOST

    async def _wait(self) -> None:
        self._connection.made_progress()
        self._connection.transport.resume_reading()
        self._arrival = self._connection.loop.create_future()
        if self._continue:
            self._connection.loop.call_soon(self._go_on)  # unless this was but a look at what there is
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _go_on(self) -> None:
        if self._continue and self.waiting and not self._begun:
            self._continue = False
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def send(self, message: Message) -> None:
        """ASGI's send. An empty piece of a body that has more to come sends the head at once."""
        if not self._connection.writable.is_set():
            await self._connection.writable.wait()
        if self.delivery.state is State.LOST:
            raise ConnectionResetError
        if message["type"] == "http.response.start":
            self._head = self._begin(message["status"], message["headers"])
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        self._write(body, more)
        if not more:
            if self._left:
                self.abort()
            self._ended = True
            self._connection.finished(self)

    def _begin(self, status: int, headers: list[Header]) -> bytes:
        self._begun = True
        given = dict(headers)
        bodiless = self._method == "HEAD" or status in _NO_BODY
        own = [header for header in self._connection.state.default_headers if header[0] not in given]
        if status == 204:  # it has no length (RFC 9110, section 8.6)
            headers = [header for header in headers if header[0] != b"content-length"]
        if bodiless:
            self._left = 0
        elif b"content-length" in given:
            self._left = int(given[b"content-length"])
        elif self._version == "1.1":
            self._chunked = True
            own.append((b"transfer-encoding", b"chunked"))
        else:
            self.keep_alive = False
        if self.more_body:  # and it may not come in time
            self.keep_alive = False
        if not self.keep_alive:
            own.append((b"connection", b"close"))
        elif self._version == "1.0":  # which closes unless told otherwise (RFC 9112, section 9.3)
            own.append((b"connection", b"keep-alive"))
        return head(status, [*headers, *own])

    def _write(self, body: bytes, more: bool) -> None:
        if self._left is not None:
            body = body[: self._left]
            self._left -= len(body)
        if self._chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        if self._head is not None:
            body, self._head = self._head + body, None
        self._connection.transport.write(body)


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a reset, so that nothing on it can be taken for whole."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def head(status: int, headers: Headers) -> bytes:
    """The bytes of an answer before its body."""
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status
    return b"\r\n".join([line, *map(b": ".join, headers), b"", b""])


def refusal(error: errors.ProxyError, own: Headers) -> bytes:
    """A whole answer to what is no request; the connection ends with it.

    Args:
        error: what is wrong.
        own: headers of the server's own.
    """
    body = error.body(uuid.uuid4().hex, starts_run=True)  # it may have been meant to
    fields = [
        *own,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"proxy-status", error.proxy_status().encode("ascii")),
        (b"connection", b"close"),
    ]
    if isinstance(error, errors.MethodNotAllowed):
        fields.append((b"allow", METHODS))
    return head(error.status, fields) + body
