"""HTTP/1.1 to one origin, behind httpx's transport interface.

httptools parses; what is here is the pool and the exchange. Why not a client library: each that was measured costs five
times as much a call, changes targets or header values that it cannot spell, or cannot tell a connection that was never
made from one that broke after the request was sent.
"""

import asyncio
import collections
import contextlib
import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import NamedTuple

import httptools
import httpx

HEAD_LIMIT = 64 << 10
"""Bytes of an answer before its body: interim answers, status line and headers."""

BUFFER_LIMIT = 256 << 10
"""Bytes of a body that may wait for a slow reader before the connection is read no further."""


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


class Engine(httpx.AsyncBaseTransport):
    """Pooled connections to one origin.

    A request is sent once, over an idle connection or a new one, but for what `_repeatable` says. Nothing is added to
    its headers, no cookie is kept, no redirect followed, no environment looked at, no content encoding undone. Interim
    answers and trailers are dropped.

    Args:
        origin: scheme, host and port; the rest of the URL is not looked at.
        connect_timeout: seconds to wait for a free connection and to establish it.
        keepalive: seconds for which an idle connection may be used again.
        max_connections: at most, busy ones included.
        tls: what to trust; the system's authorities by default.
    """

    def __init__(
        self,
        origin: httpx.URL,
        *,
        connect_timeout: float,
        keepalive: float,
        max_connections: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host = origin.raw_host.decode("ascii")
        self._port = origin.port or (443 if origin.scheme == "https" else 80)
        self._tls = (tls or _system_trust()) if origin.scheme == "https" else None
        self._connect_timeout = connect_timeout
        self._keepalive = keepalive
        self._free = max_connections
        self._idle: collections.deque[_Connection] = collections.deque()
        self._waiting: collections.deque[asyncio.Future[_Connection | None]] = collections.deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._deadlines = _Deadlines()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of httpx's, as `send` does; the target is its extension ``target`` (bytes), if it has one."""
        whole = isinstance(request.stream, httpx.ByteStream)
        body = b"".join(request.stream) if whole else request.stream  # type: ignore[arg-type]
        target = request.extensions.get("target") or request.url.raw_path
        reply = await self.send(Request(request.method, target, request.headers.raw, body))  # type: ignore[arg-type]
        return httpx.Response(reply.status, headers=reply.headers, stream=reply)

    async def send(self, request: Request) -> "Reply":
        """Send a request, and wait for the head of its answer. Without httpx's objects it takes half the time.

        Raises:
            httpx.ConnectError: no connection was made; the cause is the system's own error.
            httpx.ConnectTimeout: no connection was made in time.
            httpx.PoolTimeout: none became free in time.
            httpx.LocalProtocolError: the request cannot be written; it was not sent.
            httpx.ReadError: the connection broke after the request was sent.
            httpx.ReadTimeout: the deadline passed; it may be raised in reading the answer, too.
            httpx.RemoteProtocolError: the answer is no HTTP/1.1.
        """
        head = _head(request)
        connection = await self._acquire()
        try:
            await self._exchange(connection, head, request)
        except httpx.ReadError as broken:
            if not (connection.stale and _repeatable(request)):
                raise
            try:
                connection = await self._acquire(fresh=True)
            except httpx.TransportError:  # which would say that nothing was sent
                raise broken from None
            await self._exchange(connection, head, request)
        return Reply(connection, self._release)

    async def aclose(self) -> None:
        """Close the idle connections."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.abort()

    async def _exchange(self, connection: "_Connection", head: bytes, request: Request) -> None:
        if request.deadline is not None:
            self._deadlines.set(connection, request.deadline)
        await connection.exchange(head, request)

    async def _acquire(self, *, fresh: bool = False) -> "_Connection":
        deadline = None
        while (connection := self._take_idle(fresh=fresh)) is None:
            deadline = deadline or asyncio.get_running_loop().time() + self._connect_timeout
            if self._free:
                self._free -= 1
                return await self._connect(deadline)
            given = await self._turn(deadline)
            if given is None:
                return await self._connect(deadline)
            if given.reusable:
                return given
        return connection

    def _take_idle(self, *, fresh: bool) -> "_Connection | None":
        while self._idle and not (fresh and self._free):
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        return None

    async def _turn(self, deadline: float) -> "_Connection | None":
        """Wait for a connection that somebody is done with, or None for the leave to make one."""
        turn: asyncio.Future[_Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # given in the very moment of giving up
                self._pass_on(turn.result())
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout("no connection became free in time") from None
            raise

    async def _connect(self, deadline: float) -> "_Connection":
        connection = _Connection(self._lost)
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls is not None else None,
                    happy_eyeballs_delay=0.25,
                )
        except BaseException as error:
            if not connection.made:  # or else it gives its place back itself, when it is lost
                self._pass_on(None)
            if isinstance(error, TimeoutError):
                raise httpx.ConnectTimeout("no connection in time") from error
            if isinstance(error, OSError):
                raise httpx.ConnectError(type(error).__name__) from error
            raise
        return connection

    def _release(self, connection: "_Connection") -> None:
        self._deadlines.clear(connection)
        if connection.reusable:
            self._pass_on(connection)
        else:
            connection.abort()

    def _lost(self, connection: "_Connection") -> None:
        self._deadlines.clear(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        self._pass_on(None)

    def _pass_on(self, connection: "_Connection | None") -> None:
        """Give a connection, or the leave to make one, to whoever has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if connection is None:
            self._free += 1
            return
        self._idle.append(connection)
        connection.idle_since = asyncio.get_running_loop().time()
        if self._sweep is None:
            self._schedule_sweep()

    def _schedule_sweep(self) -> None:
        # The oldest stand first: the newest are taken first.
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_at(self._idle[0].idle_since + self._keepalive, self._close_expired)

    def _close_expired(self) -> None:
        self._sweep = None
        expired = asyncio.get_running_loop().time() - self._keepalive
        while self._idle and self._idle[0].idle_since <= expired:
            self._idle.popleft().abort()
        if self._idle:
            self._schedule_sweep()


class _Deadlines:
    """When exchanges must be over. One timer for all: one for each costs more than all else that is done in time."""

    def __init__(self) -> None:
        self._due: dict[_Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, connection: "_Connection", due: float) -> None:
        """Have a connection's exchange fail at a time on the loop's clock."""
        self._due[connection] = due
        if self._timer is None or due < self._timer.when():
            self._arm(due)

    def clear(self, connection: "_Connection") -> None:
        """The exchange is over."""
        self._due.pop(connection, None)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in [connection for connection, due in self._due.items() if due <= now]:
            self.clear(connection)
            connection.expire()
        if self._due:
            self._arm(min(self._due.values()))


class _Connection(asyncio.Protocol):
    """One connection, and the exchange under way on it.

    Attributes:
        made: it came about, so that it will be lost one day.
        status, headers: of the answer, once its head is there.
        idle_since: when it was given back, on the loop's clock.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    idle_since: float

    def __init__(self, lost: Callable[["_Connection"], None]) -> None:
        self.made = False
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
        self._waiter = asyncio.get_running_loop().create_future()
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
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_connection makes
        self._transport = transport
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


class Reply(httpx.AsyncByteStream):
    """An answer, whose body comes as it is read; it must be closed.

    Attributes:
        headers: as they came.
    """

    def __init__(self, connection: _Connection, release: Callable[[_Connection], None]) -> None:
        self.status = connection.status
        self.headers = connection.headers
        self._connection: _Connection | None = connection
        self._release = release

    async def read(self) -> bytes:
        """What has come of its body, or nothing at its end."""
        return await self._connection.read() if self._connection is not None else b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self.read():
            yield chunk

    async def aclose(self) -> None:
        """Give the connection back, or break it off where there is more to come."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._release(connection)


def _repeatable(request: Request) -> bool:
    """Whether a request may be sent again that got no answer (RFC 9110, section 9.2.2)."""
    return request.method in {"GET", "HEAD", "OPTIONS"} and isinstance(request.body, bytes)


def _is_announced(transport: asyncio.Transport) -> bool:
    """Whether a connection was not cut off below TLS, which has a word for its end (RFC 9112, section 9.8)."""
    tls = transport.get_extra_info("ssl_object")
    try:
        return tls is None or tls.read(1) == b""
    except ssl.SSLError:
        return False


_NOT_IN_TARGET = re.compile(rb"[\x00-\x20\x7f]")


def _head(request: Request) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.target)]
    lines += [b"%b: %b" % header for header in request.headers]
    head = b"\r\n".join([*lines, b"", b""])
    breaks = len(lines) + 1
    if (
        _NOT_IN_TARGET.search(request.target)
        or b"\0" in head
        or head.count(b"\r") != breaks
        or head.count(b"\n") != breaks
    ):
        raise httpx.LocalProtocolError("a control character in the head")
    return head


def _system_trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
