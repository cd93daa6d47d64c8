"""One HTTP/1.1 connection to the service, and the exchange under way on it. httptools parses."""

import asyncio
import contextlib
import enum
import math
import os
import re
import select
import ssl
from collections.abc import AsyncIterable, Callable, Sequence
from typing import Any, NamedTuple, cast

import httptools
import httpx

from proxy.gateway.upstream.answer import HEAD_LIMIT, check

BUFFER_LIMIT = 256 << 10
"""Bytes of a body that may wait for a slow reader before the connection is read no further."""

_NOT_IN_TARGET = re.compile(rb"[\x00-\x20\x7f]")


class Request(NamedTuple):
    """What is to be sent, byte for byte.

    Attributes:
        headers: all of them, with ``Host`` and the framing of the body.
        body: whole, or as it comes.
        deadline: when the answer must be whole, on the loop's clock.
    """

    method: str
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes | httpx.AsyncByteStream = b""
    deadline: float | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again where it got no answer (RFC 9110, section 9.2.2)."""
        return self.method in {"GET", "HEAD", "OPTIONS"} and isinstance(self.body, bytes)

    def head(self) -> bytes:
        """Its head as it is sent.

        Raises:
            httpx.LocalProtocolError: it cannot be written.
        """
        lines = [b"%b %b HTTP/1.1" % (self.method.encode("ascii"), self.target), *map(b": ".join, self.headers)]
        head = b"\r\n".join([*lines, b"", b""])
        controls = len(head) - len(head.translate(None, b"\r\n\0"))
        if _NOT_IN_TARGET.search(self.target) or controls != 2 * (len(lines) + 1):
            raise httpx.LocalProtocolError("a control character in the head")
        return head


class State(enum.Enum):
    """What a connection is doing."""

    IDLE = "can carry a request"
    WAITING = "a request was sent, the head of its answer has not come"
    READING = "the head has come, the body is coming"
    CLOSED = "carries no further request"


_UNDER_WAY = (State.WAITING, State.READING)


class Connection(asyncio.Protocol):
    """One connection, and the exchange under way on it.

    Args:
        lost: called when there was a connection, and is none any more.
        loop: that it is on; to ask for the running one costs a system call each time.
        keepalive: seconds after an answer for which it may be used again, unless the answer allows less.

    Attributes:
        state: what it is doing.
        made: it came about, so that it will be lost one day.
        made_at: when it could be used first, on the loop's clock.
        status, headers: of the answer; the status is 0 until its head is there.
        idle_since: when it was given back, on the loop's clock.
    """

    made_at: float
    idle_since: float

    def __init__(self, lost: Callable[["Connection"], None], loop: asyncio.AbstractEventLoop, keepalive: float) -> None:
        self.loop = loop
        self._lost = lost
        self._keepalive = keepalive
        # of the connection
        self.state = State.IDLE
        self.made = False
        self._requests = 0
        self._usable_until = math.inf
        self._poll = select.poll()
        self._writable = asyncio.Event()
        self._writable.set()
        # of the exchange under way
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._upload: asyncio.Task[None] | None = None  # until the request is sent whole
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._chunks: list[bytes] = []

    def __repr__(self) -> str:
        return f"<Connection {self.state.name}, {self._requests} requests>"

    # What the engine asks for

    @property
    def is_reusable(self) -> bool:
        """Whether the exchange is over, and the connection fit for another."""
        over = self.state is State.IDLE and not self._chunks and self._upload is None
        return over and self.loop.time() < self._usable_until and not self._transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has arrived that the loop has not read yet, not even an end. It costs a system call.

        Over TLS, what has arrived may be a session ticket. That is rare: servers send theirs before the first answer.
        """
        return not self._poll.poll(0)

    @property
    def is_stale(self) -> bool:
        """Whether it may have been closed before its last request came: it was used before, and not a byte answered."""
        return self._requests > 1 and self._outside == 0

    async def exchange(self, head: bytes, request: Request) -> None:
        """Send a request, and wait for the head of the answer; the connection is broken off where none comes."""
        try:
            self._begin(head, request)
            while not self.status:
                await self._progress()
        except BaseException:
            self.abort()
            raise

    def _begin(self, head: bytes, request: Request) -> None:
        self.state = State.WAITING
        self._requests += 1
        self._parser = httptools.HttpResponseParser(self)
        self._to_head = request.method == "HEAD"
        self.status, self.headers = 0, []
        self._buffered = 0
        self._outside = 0  # bytes since the last one of a body
        if isinstance(request.body, bytes):
            self._transport.write(head + request.body)
        else:
            self._transport.write(head)
            chunked = any(name.lower() == b"transfer-encoding" for name, _ in request.headers)
            self._upload = asyncio.create_task(self._send_body(request.body, chunked=chunked))
            self._upload.add_done_callback(self._uploaded)

    async def read(self) -> bytes:
        """What has come of the body, or nothing at its end."""
        while not self._chunks and (self.state is State.READING or self._error is not None):
            await self._progress()
        content = b"".join(self._chunks)
        self._chunks.clear()
        if self._buffered > BUFFER_LIMIT:
            self._transport.resume_reading()
        self._buffered = 0
        return content

    def expire(self) -> None:
        """Break the exchange off, for its time is over."""
        self._fail(httpx.ReadTimeout("the answer was not whole in time"))
        self.abort()

    def abort(self) -> None:
        """Break the connection off."""
        self._fail(httpx.ReadError("the connection was broken off"))
        self._transport.abort()

    async def _progress(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self.loop.create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        """Close the connection; the error is that of the exchange, if one is under way."""
        if self.state in _UNDER_WAY:
            self._error = error
        self.state = State.CLOSED
        if self._upload is not None:
            self._upload.cancel()
        self._wake()

    # The body of the request

    async def _send_body(self, body: AsyncIterable[bytes], *, chunked: bool) -> None:
        async for chunk in body:
            if chunk:
                await self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        if chunked:
            await self._write(b"0\r\n\r\n")

    async def _write(self, piece: bytes) -> None:
        self._transport.write(piece)
        if self.state is State.WAITING and self._is_broken:
            self._read_rest()
            await asyncio.sleep(0)  # an answer that refuses the rest cancels the upload here
        await self._writable.wait()

    @property
    def _is_broken(self) -> bool:
        return any(events & select.POLLHUP for _, events in self._poll.poll(0))

    def _read_rest(self) -> None:
        """Read what arrived before the connection broke: once a write has failed, the loop reads no more.

        A service that refuses an upload answers and closes, so that writing on fails.
        """
        if self._tls is not None and self._transport.is_closing():  # the descriptor may be another's by now
            return
        with contextlib.suppress(OSError):
            while self.state in _UNDER_WAY and self._buffered <= BUFFER_LIMIT:
                if not (data := os.read(self._descriptor, BUFFER_LIMIT)):
                    return
                if self._tls is None:
                    self.data_received(data)
                else:
                    self._tls.get_buffer(len(data))[: len(data)] = data
                    self._tls.buffer_updated(len(data))

    def _uploaded(self, upload: asyncio.Task[None]) -> None:
        if upload.cancelled():
            return
        self._upload = None
        if (error := upload.exception()) is not None:
            self._fail(error if isinstance(error, Exception) else httpx.WriteError(type(error).__name__))
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._tls = _decrypting(transport)
        self._descriptor = transport.get_extra_info("socket").fileno()
        self._poll.register(self._descriptor, select.POLLIN)
        self.made = True

    def eof_received(self) -> None:
        if self.state is State.READING and self._until_eof and _is_announced(self._transport):
            self._end()  # a parser that waits for the end does not keep alive
        else:
            self._fail(httpx.ReadError("the connection ended"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._fail(httpx.ReadError("the connection broke"))
        self._lost(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self.state not in _UNDER_WAY:  # nobody asked: whoever comes next must not get it
            self.abort()
            return
        if not (self.status or self._outside or data.startswith(b"H")):  # the parser takes RTSP and Icecast, too
            self._fail(httpx.RemoteProtocolError("not HTTP"))
            return
        self._outside += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(type(error).__name__))
        if self._outside > HEAD_LIMIT:
            self._fail(httpx.RemoteProtocolError("too much outside the body"))

    # httptools

    def on_message_begin(self) -> None:
        if self.state is not State.WAITING:
            self.state = State.CLOSED

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # or else it is a trailer
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.state is not State.WAITING:
            return
        status = self._parser.get_status_code()
        try:
            self._until_eof, idle = check(status, self._parser.get_http_version(), self.headers)
        except ValueError as problem:
            self._fail(httpx.RemoteProtocolError(str(problem)))
            return
        if status < 200:
            self.headers.clear()
            return
        self.status = status
        self.state = State.READING
        self._idle_limit = self._keepalive if idle is None else min(idle, self._keepalive)
        if self._to_head:
            self._end()
        elif status >= 400 and self._upload is not None:  # the rest is not wanted (RFC 9112, section 9.5)
            self._upload.cancel()
        self._wake()

    def on_body(self, body: bytes) -> None:
        if self.state is not State.READING:
            self.state = State.CLOSED
            return
        self._outside = 0
        self._chunks.append(body)
        if self._buffered <= BUFFER_LIMIT < self._buffered + len(body):
            self._transport.pause_reading()
        self._buffered += len(body)
        self._wake()

    def on_message_complete(self) -> None:
        if self.state is State.READING:
            self._end()

    def _end(self) -> None:
        """The answer is whole."""
        self.state = State.IDLE if self._parser.should_keep_alive() else State.CLOSED
        self._usable_until = self.loop.time() + self._idle_limit
        self._wake()


def _is_announced(transport: asyncio.Transport) -> bool:
    """Whether a connection was not cut off below TLS, which has a word for its end (RFC 9112, section 9.8)."""
    tls = transport.get_extra_info("ssl_object")
    try:
        return tls is None or tls.read(1) == b""
    except ssl.SSLError:
        return False


def _decrypting(transport: asyncio.BaseTransport) -> Any:
    """The protocol that reads TLS for a transport, or None where there is no TLS."""
    return transport.get_extra_info("uvloop.sslproto") or getattr(transport, "_ssl_protocol", None)
