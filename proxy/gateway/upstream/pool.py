"""HTTP/1.1 to one origin, as a transport of httpx.

Why not httpx's own transport or another client: each that was measured costs five times as much a call, changes targets
or header values, or cannot tell a connection that was never made from one that broke after the request was sent.
"""

import asyncio
import collections
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Self

import httpx

from proxy.gateway.upstream.connection import READ_SIZE, UpstreamConnection, encode_head
from proxy.gateway.upstream.dialer import Dialer
from proxy.gateway.upstream.messages import RawHeaders

LIFETIME = 60.0
"""Seconds after which a connection is not used again, for the service's name is resolved only for a new one."""

STALLED = 2.0
"""Seconds for which a caller may neither read nor send while other requests wait for a connection."""

RELIEF = 0.5
"""Seconds between two looks for such callers."""

_NO_HEADERS = httpx.Headers()


class ConnectionPool(httpx.AsyncBaseTransport):
    """Pooled connections to one origin.

    A request is sent once, over an idle connection or a new one. Only a request without side effects is sent again, and
    only if a connection that was used before ends without a response. The pool adds no headers, keeps no cookies,
    follows no redirects, decodes no content and reads no environment variables. Interim responses and trailers are
    dropped.

    It honours two of httpx's extensions: ``target``, and ``timeout``, of which ``connect`` includes the wait for a free
    connection, and the rest is ignored.

    Args:
        dialer: makes connections.
        keepalive: seconds after a response for which its connection may be used again, unless the service allows less.
        max_connections: at most, busy ones included.

    Attributes:
        dialer: makes the next connections.
        certificate_end: when the certificate of the service ends, as of the last connection; None if not known.
    """

    def __init__(self, dialer: Dialer, *, keepalive: float, max_connections: int) -> None:
        self.dialer = dialer
        self.certificate_end: datetime | None = None
        self._keepalive = keepalive
        self._max_connections = max_connections
        self._capacity = max_connections  # connections that may still be opened
        self._idle: collections.deque[UpstreamConnection] = collections.deque()
        self._waiters: collections.deque[asyncio.Future[UpstreamConnection | None]] = collections.deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._connections: set[UpstreamConnection] = set()
        self._relief: asyncio.TimerHandle | None = None
        self._read_buffer = memoryview(bytearray(READ_SIZE))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and wait for the head of its response, which must be closed.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError: no connection was made; see `Dialer.connect`.
            httpx.PoolTimeout: no connection became free in time.
            httpx.LocalProtocolError: the request cannot be written; it was not sent.
            httpx.ReadError: the connection broke after the request was sent.
            httpx.RemoteProtocolError: the response is not HTTP/1.1.
        """
        head = encode_head(request)
        connection = self._take_idle() or await self._acquire(request)
        try:
            await connection.exchange(request, head)
        except httpx.ReadError as error:
            if not (connection.is_stale and _is_repeatable(request)):
                raise
            try:
                connection = await self._acquire(request, fresh=True)
            except httpx.TransportError:  # which would say that nothing was sent
                raise error from None
            await connection.exchange(request, head)
        body = _ResponseBody(connection, self._release)
        response = httpx.Response(connection.response.status, headers=_NO_HEADERS, stream=body)
        response.headers = RawHeaders(connection.response.headers)
        return response

    @property
    def in_use(self) -> int:
        """How many connections carry a request, or are being made for one."""
        return self._max_connections - self._capacity - len(self._idle)

    async def aclose(self) -> None:
        """Close the idle connections."""
        for timer in (self._sweep, self._relief):
            if timer is not None:
                timer.cancel()
        for connection in self._idle:
            connection.abort()

    async def _acquire(self, request: httpx.Request, *, fresh: bool = False) -> UpstreamConnection:
        """A connection for a request; a new one, if `fresh` and one may be opened."""
        seconds = request.extensions.get("timeout", {}).get("connect")
        deadline = asyncio.get_running_loop().time() + seconds if seconds is not None else None
        while (connection := self._take_idle(fresh=fresh)) is None:
            if self._capacity:
                self._capacity -= 1
                return await self._connect(deadline)
            released = await self._wait_for_release(deadline)
            if released is None:
                return await self._connect(deadline)
            if released.is_usable:
                return released
            released.abort()
        return connection

    def _take_idle(self, *, fresh: bool = False) -> UpstreamConnection | None:
        while self._idle and not (fresh and self._capacity):
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.abort()
        return None

    async def _wait_for_release(self, deadline: float | None) -> UpstreamConnection | None:
        """Wait for a released connection; None means that the caller may open one."""
        waiter: asyncio.Future[UpstreamConnection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if self._relief is None:
            self._relief = asyncio.get_running_loop().call_later(RELIEF, self._relieve)
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():  # it was served at the very moment of giving up
                self._release_to_next(waiter.result())
            if isinstance(error, TimeoutError):
                raise httpx.PoolTimeout("no connection became free in time") from None
            raise

    async def _connect(self, deadline: float | None) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        connection = UpstreamConnection(
            self._lost, loop, self._read_buffer, keepalive=self._keepalive, lifetime=LIFETIME
        )
        try:
            await self.dialer.connect(connection, deadline)
        except BaseException:
            if not connection.is_established:  # otherwise `_lost` is called
                self._release_to_next(None)
            raise
        self._connections.add(connection)
        if connection.certificate_end is not None:
            self.certificate_end = connection.certificate_end
        # What came already is no response to the request (RFC 9112, section 9.2); over TLS, it may be a session ticket.
        if not (connection.is_usable if self.dialer.tls is None else connection.is_reusable):
            connection.abort()
            raise httpx.ConnectError("the service did not wait for the request") from ConnectionAbortedError()
        return connection

    def _release(self, connection: UpstreamConnection) -> None:
        if connection.is_reusable:
            self._release_to_next(connection)
        else:
            connection.abort()

    def _lost(self, connection: UpstreamConnection) -> None:
        self._connections.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        self._release_to_next(None)

    def _release_to_next(self, connection: UpstreamConnection | None) -> None:
        """Give a connection, or with None the right to open one, to the request that has waited longest."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._capacity += 1
            return
        self._idle.append(connection)
        if self._sweep is None:
            self._schedule_sweep()

    def _relieve(self) -> None:
        """Close connections whose callers neither read nor send, the longest stalled first, for requests that wait."""
        self._relief = None
        waiting = sum(not waiter.done() for waiter in self._waiters)
        if not waiting:
            return
        loop = asyncio.get_running_loop()
        since = loop.time() - STALLED
        stalled = [(at, one) for one in self._connections if (at := one.stalled_at) is not None and at <= since]
        for _, connection in sorted(stalled, key=lambda pair: pair[0])[:waiting]:
            connection.give_up()
        self._relief = loop.call_later(RELIEF, self._relieve)

    def _schedule_sweep(self) -> None:
        # The first has been idle for the longest time, since the last is used first.
        self._sweep = asyncio.get_running_loop().call_at(self._idle[0].usable_until, self._close_expired)

    def _close_expired(self) -> None:
        self._sweep = None
        now = asyncio.get_running_loop().time()
        while self._idle and self._idle[0].usable_until <= now:
            self._idle.popleft().abort()
        if self._idle:
            self._schedule_sweep()


class _ResponseBody(httpx.AsyncByteStream):
    """The body of a response, read as it comes."""

    def __init__(self, connection: UpstreamConnection, release: Callable[[UpstreamConnection], None]) -> None:
        self._connection = connection
        self._release = release
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        if self._is_closed:  # the connection may belong to another request by now
            raise httpx.StreamClosed
        return self._connection.read()

    async def aclose(self) -> None:
        """Release the connection, or close it where the response is not complete."""
        if not self._is_closed:
            self._is_closed = True
            self._release(self._connection)


def _is_repeatable(request: httpx.Request) -> bool:
    """Whether a request may be sent again if it got no response (RFC 9110, section 9.2.2)."""
    return request.method in {"GET", "HEAD", "OPTIONS"} and isinstance(request.stream, httpx.ByteStream)
