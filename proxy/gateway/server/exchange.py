"""One request and its answer, as ASGI sees them."""

import asyncio
import enum
import http
import socket
import struct
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Scope

from proxy import errors
from proxy.gateway.buffered import UNCOUNTED, Budget, Problem
from proxy.gateway.delivery import State
from proxy.gateway.event import Event
from proxy.gateway.head import EXTENSION, Head
from proxy.gateway.headers import Header, Headers, members
from proxy.gateway.server.request import METHODS
from proxy.output.diagnostics import log

BUFFER_LIMIT = 64 << 10
"""Bytes of a request's body that may wait for the application. Reading pauses beyond them."""

MIN_RATE = 1 << 10
"""Bytes a second in which a body must arrive on average. Only time in which the application waits for it counts."""

RATE_GRACE = 60.0
"""Seconds that a body may take in addition, whatever its size."""

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b" % (status, status.phrase.encode()) for status in http.HTTPStatus}
_NO_BODY = frozenset({204, 304})


class ServerState:
    """What all connections of a server share.

    Attributes:
        default_headers: are added to every answer.
        tasks: answer the requests under way.
        connections: the open ones.
        budget: for what is held of requests.
        refused: called for each request that a limit of the server refuses.
        is_stopping: whether the server stops: then every answer closes its connection.
    """

    def __init__(self) -> None:
        self.budget = Budget()
        self.refused: Callable[[errors.Limit], None] = lambda _: None
        self.default_headers: list[Header] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.connections: set[Any] = set()
        self.is_stopping = False


class CallerConnection(Protocol):
    """What an exchange needs of its connection."""

    app: ASGIApp
    loop: asyncio.AbstractEventLoop
    server_state: ServerState
    transport: asyncio.Transport
    writable: Event

    def made_progress(self) -> None:
        """Restart the time limit for the body."""

    def finished(self, exchange: "Exchange") -> None:
        """Continue after a complete answer."""


class Body(enum.Enum):
    """How far the request's body is."""

    ARRIVING = "more of it is to come"
    COMPLETE = "it has arrived, and the application has not received its end"
    RECEIVED = "the application has received its end"
    BROKEN = "the rest cannot be read"


class Answer(enum.Enum):
    """How far the answer is, and how the end of its body is marked."""

    PENDING = "the application has not started it"
    SIZED = "started, with a body of known length"
    CHUNKED = "started, with a chunked body"
    UNTIL_CLOSE = "started, with a body that ends with the connection"
    SENT = "complete"


# Python 3.11 takes 0.1 µs to look up a member.
_ARRIVING, _COMPLETE, _RECEIVED, _BROKEN = Body
_PENDING, _SIZED, _CHUNKED, _UNTIL_CLOSE, _SENT = Answer
_LOST = State.LOST


class Exchange:
    """One request and its answer, as ASGI sees them (spec version 2.4: sending to a lost caller raises `OSError`).

    Attributes:
        keep_alive: whether the connection can carry another request afterwards.
        delivery: whether the answer reaches the caller.
    """

    def __init__(self, connection: CallerConnection, scope: Scope, *, keep_alive: bool, has_body: bool) -> None:
        self.keep_alive = keep_alive
        self._connection = connection
        self._scope = scope
        self._method, self._version = scope["method"], scope["http_version"]
        call: Head = scope["extensions"][EXTENSION]
        self.delivery, self._held = call.delivery, call.held
        self._task: asyncio.Task[None] | None = None  # once the application runs
        # of the request
        self._body = _ARRIVING if has_body else _COMPLETE
        self._buffer = bytearray()
        self._more_body_arrived: asyncio.Future[None] | None = None  # while the application waits for more
        self._expects_continue = (
            b"expect" in call.first_values
            and self._version == "1.1"
            and b"100-continue" in members(scope["headers"], b"expect")
        )
        self._received = 0  # bytes of the body
        self._waited = 0.0  # seconds for which the application has waited for more of it
        self._waits_since = 0.0
        # of the answer
        self._answer = _PENDING
        self._head: bytes | None = None  # held back until the first piece of the body, to send both in one write
        self._answer_left: int | None = None  # bytes of its body that are still to be sent, where its length is known

    def __repr__(self) -> str:
        return f"<Exchange {self._method}: body {self._body.name}, answer {self._answer.name}>"

    def start(self) -> None:
        """Run the application."""
        self._task = self._connection.loop.create_task(self._run())
        self._connection.server_state.tasks.add(self._task)

    async def _run(self) -> None:
        try:
            await self._connection.app(self._scope, self.receive, self.send)
        except OSError:
            pass
        except Exception as fault:
            log.error("internal_error", during="answering a request", exception=type(fault).__name__)
        finally:
            if self._task is not None:
                self._connection.server_state.tasks.discard(self._task)
            if self._received > UNCOUNTED:
                self._held.release()
            if self._answer is not _SENT:
                self.abort()

    @property
    def waiting(self) -> bool:
        """Whether the application waits for more of the body."""
        return self._body is _ARRIVING and self._more_body_arrived is not None

    def is_too_slow(self, now: float) -> bool:
        """Whether the application has waited too long for what has arrived of the body so far."""
        waited = self._waited + now - self._waits_since
        return self.waiting and waited > RATE_GRACE + self._received / MIN_RATE

    def abort(self) -> None:
        """Break off the connection, so that the caller does not take an incomplete answer for a complete one."""
        if self._answer is _UNTIL_CLOSE:
            reset(self._connection.transport)
        else:
            self._connection.transport.abort()

    def feed(self, body: bytes) -> None:
        """Add a piece of the request's body."""
        if self._answer is _SENT or self._body is _BROKEN:
            return
        self._expects_continue = False
        self._received += len(body)
        self._buffer += body
        if len(self._buffer) > UNCOUNTED:
            if len(self._buffer) > BUFFER_LIMIT:
                self._connection.transport.pause_reading()
            self._held.wait(len(self._buffer), self.break_off)
        self._wake_receiver()

    def feed_end(self) -> None:
        """Mark the request's body as complete."""
        if self._body is not _BROKEN:
            self._body = _COMPLETE
            self._wake_receiver()

    def refuse(self, problem: Problem) -> None:
        """Give up the rest of the request's body, and tell the application why."""
        self._held.refuse(problem)
        self.break_off()

    def break_off(self) -> None:
        """Give up the rest of the request's body, which cannot be read."""
        self.keep_alive = False
        self._body = _BROKEN
        self._buffer.clear()
        self._held.wait(0)
        self._wake_receiver()

    def disconnect(self) -> None:
        """Note that the connection is lost."""
        if self._task is None:
            self._held.release()
        self.delivery.becomes(_LOST)
        self._wake_receiver()

    async def receive(self) -> Message:
        """ASGI's receive. A body that has arrived is returned even if the caller has left since."""
        while self._body is not _COMPLETE:
            if self._is_over:
                return {"type": "http.disconnect"}
            if self._buffer:
                break
            await self._wait()
        body = bytes(self._buffer)
        self._buffer.clear()
        if len(body) > UNCOUNTED:
            self._held.wait(0)
        more = self._body is _ARRIVING
        if not more:
            self._body = _RECEIVED
            self._held.is_arriving = False
        return {"type": "http.request", "body": body, "more_body": more}

    @property
    def _is_over(self) -> bool:
        return self._body is _BROKEN or self._answer is _SENT or self.delivery.state is _LOST

    async def _wait(self) -> None:
        self._connection.made_progress()
        self._connection.transport.resume_reading()
        self._more_body_arrived = self._connection.loop.create_future()
        if self._expects_continue:
            # Not at once: the application may only look whether some of the body is there already.
            self._connection.loop.call_soon(self._send_continue)
        self._waits_since = self._connection.loop.time()
        try:
            await self._more_body_arrived
        finally:
            self._more_body_arrived = None
            self._waited += self._connection.loop.time() - self._waits_since

    def _wake_receiver(self) -> None:
        if self._more_body_arrived is not None and not self._more_body_arrived.done():
            self._more_body_arrived.set_result(None)

    def _send_continue(self) -> None:
        if self._expects_continue and self.waiting and self._answer is _PENDING:
            self._expects_continue = False
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def send(self, message: Message) -> None:
        """ASGI's send. The head is sent with the first piece of the body, which may be empty."""
        if not self._connection.writable.is_set():
            await self._connection.writable.wait()
        if self.delivery.state is _LOST:
            raise ConnectionResetError
        if message["type"] == "http.response.start":
            self._head = self._start_answer(message["status"], message["headers"], message.get("reason"))
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        self._write(body, more)
        if more:
            if not self._connection.writable.is_set():  # before the application gets the next piece from the service
                await self._connection.writable.wait()
            return
        if self._answer_left:
            self.abort()
        self._answer = _SENT
        self._connection.finished(self)

    def _start_answer(self, status: int, headers: list[Header], reason: bytes | None) -> bytes:
        given = dict(headers)
        own = [header for header in self._connection.server_state.default_headers if header[0] not in given]
        if status == 204:  # it has no length (RFC 9110, section 8.6)
            headers = [header for header in headers if header[0] != b"content-length"]
        if self._method == "HEAD" or status in _NO_BODY:
            self._answer, self._answer_left = _SIZED, 0
        elif b"content-length" in given:
            self._answer, self._answer_left = _SIZED, int(given[b"content-length"])
        elif self._version == "1.1":
            self._answer = _CHUNKED
            own.append((b"transfer-encoding", b"chunked"))
        else:
            self._answer = _UNTIL_CLOSE
            self.keep_alive = False
        if self._body is _ARRIVING or self._connection.server_state.is_stopping:  # the rest may not come in time
            self.keep_alive = False
        if not self.keep_alive:
            own.append((b"connection", b"close"))
        elif self._version == "1.0":  # which closes unless told otherwise (RFC 9112, section 9.3)
            own.append((b"connection", b"keep-alive"))
        return response_head(status, [*headers, *own], reason)

    def _write(self, body: bytes, more: bool) -> None:
        if self._answer_left is not None:
            body = body[: self._answer_left]
            self._answer_left -= len(body)
        if self._answer is _CHUNKED:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        if self._head is not None:
            body, self._head = self._head + body, None
        self._connection.transport.write(body)


def reset(transport: asyncio.Transport) -> None:
    """Close a connection with a reset, so that nothing on it is taken for complete."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def response_head(status: int, headers: Headers, reason: bytes | None = None) -> bytes:
    """Return the bytes of an answer before its body; without a reason phrase, it has the usual one."""
    line = _STATUS_LINES.get(status) if reason is None else None
    line = line or b"HTTP/1.1 %d %b" % (status, reason or b"")
    return b"\r\n".join([line, *map(b": ".join, headers), b"", b""])


def refusal(error: errors.ProxyError, own: Headers) -> bytes:
    """Return the whole answer to an invalid request, after which the connection is closed.

    Args:
        error: what is wrong.
        own: headers that the server adds to every answer.
    """
    body = error.body(uuid.uuid4().hex, starts_run=True)  # it may have been a trigger
    fields = [
        *own,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"proxy-status", error.proxy_status().encode("ascii")),
        (b"connection", b"close"),
    ]
    if isinstance(error, errors.MethodNotAllowed):
        fields.append((b"allow", METHODS))
    return response_head(error.status, fields) + body
