"""HTTP/1.1 to one origin, behind httpx's transport interface.

Why not a client library: each that was measured costs five times as much a call, changes targets or header values that
it cannot spell, or cannot tell a connection that was never made from one that broke after the request was sent.
"""

import asyncio
import collections
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import aiohappyeyeballs
import httpx

from proxy.gateway.connection import Connection, Request
from proxy.gateway.deadlines import Deadlines

LIFETIME = 60.0
"""Seconds after which a connection is not kept, however busy: only for a new one is the service's name looked up."""


class Engine(httpx.AsyncBaseTransport):
    """Pooled connections to one origin.

    A request is sent once, over an idle connection or a new one, but for what `Request.is_repeatable` says. Nothing is
    added to its headers, no cookie is kept, no redirect followed, no environment looked at, no content encoding undone.
    Interim answers and trailers are dropped.

    Args:
        origin: scheme, host and port; the rest of the URL is not looked at.
        connect_timeout: seconds to wait for a free connection and to establish it.
        keepalive: seconds after an answer for which its connection may be used again, unless the answer allows less.
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
        self._idle: collections.deque[Connection] = collections.deque()
        self._waiting: collections.deque[asyncio.Future[Connection | None]] = collections.deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._deadlines = Deadlines()

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
        head = request.head()
        connection = self._take_idle(fresh=False) or await self._acquire()
        try:
            await self._exchange(connection, head, request)
        except httpx.ReadError as broken:
            if not (connection.is_stale and request.is_repeatable):
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

    async def _exchange(self, connection: Connection, head: bytes, request: Request) -> None:
        if request.deadline is not None:
            self._deadlines.set(connection, request.deadline)
        await connection.exchange(head, request)

    async def _acquire(self, *, fresh: bool = False) -> Connection:
        deadline = None
        while (connection := self._take_idle(fresh=fresh)) is None:
            deadline = deadline or asyncio.get_running_loop().time() + self._connect_timeout
            if self._free:
                self._free -= 1
                return await self._connect(deadline)
            given = await self._turn(deadline)
            if given is None:
                return await self._connect(deadline)
            if _is_usable(given):
                return given
        return connection

    def _take_idle(self, *, fresh: bool) -> Connection | None:
        while self._idle and not (fresh and self._free):
            connection = self._idle.pop()
            if _is_usable(connection):
                return connection
        return None

    async def _turn(self, deadline: float) -> Connection | None:
        """Wait for a connection that somebody is done with, or None for the leave to make one."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
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

    async def _connect(self, deadline: float) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(self._lost, loop, self._keepalive)
        try:
            async with asyncio.timeout_at(deadline):
                found = await addresses(self._host, self._port)
                await loop.create_connection(
                    lambda: connection,
                    sock=await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=0.25),
                    ssl=self._tls,
                    server_hostname=self._host if self._tls is not None else None,
                )
        except BaseException as error:
            if not connection.made:  # or else it gives its place back itself, when it is lost
                self._pass_on(None)
            if isinstance(error, TimeoutError):
                raise httpx.ConnectTimeout("no connection in time") from error
            if isinstance(error, OSError):
                raise httpx.ConnectError(type(error).__name__) from error
            raise
        connection.made_at = loop.time()
        return connection

    def _release(self, connection: Connection) -> None:
        self._deadlines.clear(connection)
        if connection.is_reusable and connection.loop.time() < connection.made_at + LIFETIME:
            self._pass_on(connection)
        else:
            connection.abort()

    def _lost(self, connection: Connection) -> None:
        self._deadlines.clear(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        self._pass_on(None)

    def _pass_on(self, connection: Connection | None) -> None:
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
        connection.idle_since = connection.loop.time()
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


class Reply(httpx.AsyncByteStream):
    """An answer, whose body comes as it is read; it must be closed.

    Attributes:
        headers: as they came.
    """

    def __init__(self, connection: Connection, release: Callable[[Connection], None]) -> None:
        self.status = connection.status
        self.headers = connection.headers
        self._connection: Connection | None = connection
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


async def addresses(host: str, port: int) -> list[aiohappyeyeballs.AddrInfoType]:
    """Where a name leads at the moment.

    Raises:
        socket.gaierror: nowhere.
    """
    return list(await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))


def _is_usable(connection: Connection) -> bool:
    """Whether a connection may carry a request now; one that may not is closed."""
    usable = connection.is_reusable and connection.is_quiet
    if not usable:
        connection.abort()
    return usable


def _system_trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
