"""One HTTP/1.1 connection to the service, and the exchange under way on it. httptools parses."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterable, Callable, Sequence
from typing import NamedTuple, cast

import httptools
import httpx

HEAD_LIMIT = 64 << 10
"""Bytes of an answer before its body: interim answers, status line and headers."""

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


class Connection(asyncio.Protocol):
    """One connection, and the exchange under way on it.

    Args:
        lost: called when there was a connection, and is none any more.
        loop: that it is on; to ask for the running one costs a system call each time.

    Attributes:
        made: it came about, so that it will be lost one day.
        made_at: when it could be used first, on the loop's clock.
        status, headers: of the answer, once its head is there.
        idle_since: when it was given back, on the loop's clock.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    made_at: float
    idle_since: float

    def __init__(self, lost: Callable[["Connection"], None], loop: asyncio.AbstractEventLoop) -> None:
        self.made = False
        self.loop = loop
        self._lost = lost
        self._exchanges = 0
        self._waiter: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._upload: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._chunks: list[bytes] = []
        self._done = True
        self._keep_alive = True

    # What the engine asks for

    @property
    def reusable(self) -> bool:
        """Whether the exchange is over, and the connection fit for another."""
        over = self._done and not self._chunks and self._upload is None
        return over and self._keep_alive and not self._transport.is_closing()

    @property
    def stale(self) -> bool:
        """Whether it may have been closed before its last request came: it was used before, and not a byte answered."""
        return self._exchanges > 1 and self._head_size == 0

    async def exchange(self, head: bytes, request: Request) -> None:
        """Send a request, and wait for the head of the answer; the connection is broken off where none comes."""
        try:
            self._begin(head, request)
            while not self._answered:
                await self._progress()
        except BaseException:
            self.abort()
            raise

    def _begin(self, head: bytes, request: Request) -> None:
        self._exchanges += 1
        self._parser = httptools.HttpResponseParser(self)
        self._to_head = request.method == "HEAD"
        self.headers = []
        self._buffered = self._head_size = 0
        self._answered = self._interim = self._done = self._until_eof = False
        self._keep_alive = True
        if isinstance(request.body, bytes):
            self._transport.write(head + request.body)
        else:
            self._transport.write(head)
            chunked = any(name.lower() == b"transfer-encoding" for name, _ in request.headers)
            self._upload = asyncio.create_task(self._send_body(request.body, chunked=chunked))
            self._upload.add_done_callback(self._uploaded)

    async def read(self) -> bytes:
        """What has come of the body, or nothing at its end."""
        while not self._chunks and not self._done:
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
        if self._upload is not None:
            self._upload.cancel()
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
        self._error = self._error or error
        self._keep_alive = False
        self._wake()

    # The body of the request

    async def _send_body(self, body: AsyncIterable[bytes], *, chunked: bool) -> None:
        async for chunk in body:
            if chunk:
                self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            await self._writable.wait()
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    def _uploaded(self, upload: asyncio.Task[None]) -> None:
        self._upload = None
        if not upload.cancelled() and (error := upload.exception()) is not None:
            self._fail(error if isinstance(error, Exception) else httpx.WriteError(type(error).__name__))
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.made = True

    def eof_received(self) -> None:
        if not self._done and self._answered and self._until_eof and _is_announced(self._transport):
            self._done = True
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._writable.set()
        if not self._done:
            self._fail(httpx.ReadError("the connection broke"))
        self._keep_alive = False
        self._lost(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._done:  # nobody asked: whoever comes next must not get it
            self._keep_alive = False
            self._transport.abort()
            return
        if not self._answered:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keep_alive = False
            if not self._done:
                self._fail(httpx.RemoteProtocolError(type(error).__name__))
        if not self._answered and self._head_size > HEAD_LIMIT:
            self._fail(httpx.RemoteProtocolError("the head is too large"))

    # httptools

    def on_message_begin(self) -> None:
        if self._done:
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._answered:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._done:
            return
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200
        if self._interim:
            self.headers.clear()
            return
        size, codings, has_length = 0, [], False
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            match name.lower():
                case b"transfer-encoding":
                    codings.append(value.strip().lower())
                case b"content-length":
                    has_length = True
        if problem := self._problem(size, codings):
            self._fail(httpx.RemoteProtocolError(problem))
            return
        self.status = status
        self._answered = True
        self._done = self._to_head
        self._keep_alive = self._parser.should_keep_alive()
        self._until_eof = not (codings or has_length)
        self._wake()

    def _problem(self, size: int, codings: list[bytes]) -> str | None:
        if codings not in ([], [b"chunked"]):
            return "a transfer coding that was not asked for"
        if self._parser.get_http_version() not in {"1.0", "1.1"}:
            return "another version of HTTP"
        return "the head is too large" if size > HEAD_LIMIT else None

    def on_body(self, body: bytes) -> None:
        if self._done:
            self._keep_alive = False
            return
        self._chunks.append(body)
        if self._buffered <= BUFFER_LIMIT < self._buffered + len(body):
            self._transport.pause_reading()
        self._buffered += len(body)
        self._wake()

    def on_message_complete(self) -> None:
        if not self._interim:
            self._done = True
            self._wake()


def _is_announced(transport: asyncio.Transport) -> bool:
    """Whether a connection was not cut off below TLS, which has a word for its end (RFC 9112, section 9.8)."""
    tls = transport.get_extra_info("ssl_object")
    try:
        return tls is None or tls.read(1) == b""
    except ssl.SSLError:
        return False
