"""One HTTP/1.1 connection to the service."""

import asyncio
import contextlib
import enum
import math
import os
import re
import select
import ssl
from collections.abc import AsyncIterable, Callable
from datetime import datetime
from typing import Any, cast

import httpx

from proxy import errors
from proxy.gateway.certificates import end_of_peer
from proxy.gateway.event import Event
from proxy.gateway.upstream.response_parser import ResponseParser

READ_SIZE = 32 << 10
"""Bytes that are read at a time. uvloop's 250 KiB are too much for each caller that does not read its answer."""

BUFFER_LIMIT = READ_SIZE // 2
"""Bytes of a body that may wait for a slow reader before reading from the connection is paused."""

UPLOAD_STEP = 16 << 10
"""Bytes that a caller has to send of a body to count as sending, rather than as stalled."""

_REFUSED_CERTIFICATE = re.compile(r"_ALERT_(.*CERTIFICATE|UNKNOWN_CA)")
_NOT_IN_TARGET = re.compile(rb"[\x00-\x20\x7f]")


def encode_head(request: httpx.Request) -> bytes:
    """The head of a request as it is sent, with the extension ``target`` in place of the URL, and no header added.

    Raises:
        httpx.LocalProtocolError: it contains a control character.
    """
    target = request.extensions.get("target") or request.url.raw_path
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), target), *map(b": ".join, request.headers.raw), b""]
    head = b"\r\n".join([*lines, b""])
    breaks = len(lines)
    if _NOT_IN_TARGET.search(target) or head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise httpx.LocalProtocolError("a control character in the head")
    return head


class State(enum.Enum):
    """What a connection is doing."""

    IDLE = "can carry a request"
    BUSY = "a request was sent, and its response is not complete"
    CLOSED = "carries no further request"


class UpstreamConnection(asyncio.BufferedProtocol):
    """One connection, and the exchange of a request and its response on it.

    Args:
        on_lost: called when an established connection has ended.
        loop: the running event loop; asking for it takes a system call each time.
        buffer: to read into; connections of one event loop may share it.
        keepalive: seconds after a response for which the connection may be used again, unless the service allows less.
        lifetime: seconds after which it carries no further request.

    Attributes:
        state: what it is doing.
        response: the response to the last request.
        certificate_end: when the certificate of the service ends; None without TLS.
        is_established: whether it was ever connected; if so, `on_lost` is called at its end.
        paused_at: since when nobody reads the response, so that reading is paused, on the loop's clock; or None.
        sending_at: when the caller last sent `UPLOAD_STEP` bytes of the request's body, on the loop's clock.
        usable_until: when it may last begin an exchange, on the loop's clock.
    """

    def __init__(
        self,
        on_lost: Callable[["UpstreamConnection"], None],
        loop: asyncio.AbstractEventLoop,
        buffer: memoryview,
        *,
        keepalive: float,
        lifetime: float,
    ) -> None:
        self.loop = loop
        self._on_lost = on_lost
        self._read_buffer = buffer
        self._keepalive = keepalive
        # of the connection
        self.state = State.IDLE
        self.is_established = False
        self.certificate_end: datetime | None = None
        self._requests = 0
        self.usable_until = math.inf
        self._expires_at = loop.time() + lifetime
        self._poll = select.poll()
        self._writable = Event(is_set=True)
        # of the current exchange
        self.paused_at: float | None = None
        self.sending_at = 0.0
        self.response = ResponseParser()
        self._upload: asyncio.Task[None] | None = None  # until the whole request is sent
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None

    def __repr__(self) -> str:
        return f"<UpstreamConnection {self.state.name}, {self._requests} requests>"

    # What the pool uses

    @property
    def is_reusable(self) -> bool:
        """Whether the last exchange is over and another may follow."""
        over = self.state is State.IDLE and not self.response.buffered and self._upload is None
        # Reading goes on when the end of a response is read; whoever gave up before leaves it paused.
        return (
            over
            and self.paused_at is None
            and self.loop.time() < self.usable_until
            and not self._transport.is_closing()
        )

    @property
    def is_usable(self) -> bool:
        """Whether it is reusable and nothing has arrived that the loop has not read yet, not even the end.

        It takes a system call. Over TLS, a session ticket may be unread. That is rare: servers send theirs before the
        first response.
        """
        return self.is_reusable and not self._poll.poll(0)

    @property
    def is_stale(self) -> bool:
        """Whether a used connection got no response, so that it may have been closed before the request was sent."""
        return self._requests > 1 and not self.response.has_begun

    async def exchange(self, request: httpx.Request, head: bytes) -> None:
        """Send a request and wait for the head of its response; any failure closes the connection.

        Args:
            request: which has the body.
            head: of the request, from `encode_head`.
        """
        try:
            self._send(request, head)
            while not self.response.status:
                await self._progress()
        except BaseException:
            self.abort()
            raise

    def _send(self, request: httpx.Request, head: bytes) -> None:
        self.state = State.BUSY
        self._requests += 1
        self.response.expect(to_head=request.method == "HEAD")
        body = request.stream
        if isinstance(body, httpx.ByteStream):
            self._transport.write(head + b"".join(body))
        else:
            self._transport.write(head)
            chunked = any(name.lower() == b"transfer-encoding" for name, _ in request.headers.raw)
            self._upload = self.loop.create_task(self._send_body(cast("httpx.AsyncByteStream", body), chunked=chunked))
            self._upload.add_done_callback(self._uploaded)

    async def read(self) -> bytes:
        """The next bytes of the body of the response.

        Raises:
            StopAsyncIteration: there are no more.
        """
        response = self.response
        while not response.buffered:
            if self.paused_at is not None:
                self.paused_at = None
                self._transport.resume_reading()
            if self.state is not State.BUSY and self._error is None:
                raise StopAsyncIteration
            await self._progress()
        return response.take()

    @property
    def stalled_at(self) -> float | None:
        """Since when its caller neither reads nor sends, on the loop's clock; None if the service is awaited."""
        if self.paused_at is None and self._upload is not None and self._writable.is_set():
            return self.sending_at
        return self.paused_at

    def give_up(self) -> None:
        """Close the connection because its caller is too slow while others wait for one."""
        too_slow = "The call was too slow while others waited for a connection to the service."
        self._fail(errors.RequestTimeout(too_slow, limit="upstream_connections"))
        self._transport.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self._fail(httpx.ReadError("the connection was closed"))
        self._transport.abort()

    def _progress(self) -> asyncio.Future[None]:
        """A future that ends with the next change of state; the error of the exchange is raised."""
        if self._error is not None:
            raise self._error
        self._waiter = self.loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        """Allow no further exchange; one that is under way fails with the error."""
        if self.state is State.BUSY:
            self._error = error
        self.state = State.CLOSED
        if self._upload is not None:
            self._upload.cancel()
        self._wake()

    # The body of the request

    async def _send_body(self, body: AsyncIterable[bytes], *, chunked: bool) -> None:
        self.sending_at, received = self.loop.time(), 0
        async for chunk in body:
            if chunk:
                await self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            received += len(chunk)
            if received >= UPLOAD_STEP:
                self.sending_at, received = self.loop.time(), 0
            del chunk
        if chunked:
            await self._write(b"0\r\n\r\n")

    async def _write(self, data: bytes) -> None:
        self._transport.write(data)
        if self.state is State.BUSY and not self.response.status and self._is_broken:
            self._read_rest()
            await asyncio.sleep(0)  # a response that refuses the rest cancels the upload here
        await self._writable.wait()

    @property
    def _is_broken(self) -> bool:
        return any(events & select.POLLHUP for _, events in self._poll.poll(0))

    def _read_rest(self) -> None:
        """Read what arrived before the connection broke: after a failed write, the loop does not read any more.

        Writing fails where a service refuses an upload: it answers and closes before it has read everything.
        """
        if self._tls is not None and self._transport.is_closing():  # the descriptor may belong to another socket by now
            return
        with contextlib.suppress(OSError):
            while self.state is State.BUSY and self.response.buffered < BUFFER_LIMIT:
                if not (count := os.readv(self._descriptor, [self._read_buffer])):
                    return
                if self._tls is None:
                    self.buffer_updated(count)
                else:
                    self._tls.get_buffer(count)[:count] = self._read_buffer[:count]
                    self._tls.buffer_updated(count)

    def _uploaded(self, upload: asyncio.Task[None]) -> None:
        if upload.cancelled():
            return
        self._upload = None
        if (error := upload.exception()) is not None:
            self._fail(error if isinstance(error, Exception) else httpx.WriteError(type(error).__name__))
            self._transport.abort()

    # Callbacks of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._tls = _tls_protocol(transport)
        if self._tls is not None:
            self.certificate_end = end_of_peer(transport.get_extra_info("ssl_object"))
        self._descriptor = transport.get_extra_info("socket").fileno()
        self._poll.register(self._descriptor, select.POLLIN)
        self.is_established = True

    def eof_received(self) -> None:
        response = self.response
        if self.state is State.BUSY and response.ends_with_connection and _was_closed_properly(self._transport):
            self.state = State.CLOSED
            self._wake()
        else:
            self._fail(httpx.ReadError("the connection ended"))

    def connection_lost(self, exc: Exception | None) -> None:
        error: httpx.TransportError = httpx.ReadError("the connection broke")
        # With TLS 1.3, the service says so after the handshake, and reads no request.
        if is_refused_certificate(exc) and self._requests == 1 and not self.response.has_begun:
            error = httpx.ConnectError("the service does not accept the certificate")
            error.__cause__ = exc
        self._fail(error)
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.state is not State.BUSY:  # nothing was requested, and the next request must not get it
            self.abort()
            return
        response = self.response
        response.feed(self._read_buffer[:nbytes].tobytes())
        if response.is_complete:
            self._finish()
        if response.status >= 400 and self._upload is not None:  # the rest is not wanted (RFC 9112, section 9.5)
            self._upload.cancel()
        if response.problem is not None:
            self._fail(httpx.RemoteProtocolError(response.problem))
        if response.buffered >= BUFFER_LIMIT and self.paused_at is None:
            self.paused_at = self.loop.time()
            self._transport.pause_reading()
        self._wake()

    def _finish(self) -> None:
        self.state = State.IDLE if self.response.keeps_alive else State.CLOSED
        allowed = self.response.idle_limit
        idle = self._keepalive if allowed is None else min(allowed, self._keepalive)
        self.usable_until = min(self.loop.time() + idle, self._expires_at)


def is_refused_certificate(error: BaseException | None) -> bool:
    """Whether the service does not accept the client's certificate, or misses one (RFC 8446, section 6.2)."""
    return isinstance(error, ssl.SSLError) and _REFUSED_CERTIFICATE.search(error.reason or "") is not None


def _was_closed_properly(transport: asyncio.Transport) -> bool:
    """Whether an ended connection was not cut off below TLS, which announces its end (RFC 9112, section 9.8)."""
    tls = transport.get_extra_info("ssl_object")
    try:
        return tls is None or tls.read(1) == b""
    except ssl.SSLError:
        return False


def _tls_protocol(transport: asyncio.BaseTransport) -> Any:
    """The event loop's protocol that decrypts TLS for a transport, or None without TLS."""
    return transport.get_extra_info("uvloop.sslproto") or getattr(transport, "_ssl_protocol", None)
