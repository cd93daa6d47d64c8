"""HTTP/1.1 from callers: what a connection may send, and how long it may take.

uvicorn calls this for each connection (its ``http`` setting). Its own protocols lose the body of a request that asks
for an upgrade, wait without end for half a request, and take framing that other servers refuse.
"""

import asyncio
import http
import uuid
from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools
import uvicorn
from starlette.types import Message, Scope
from uvicorn.server import ServerState

from proxy import errors
from proxy.callers.log import operator

HEAD_LIMIT = 64 << 10
"""Bytes of a request's line and headers."""

HEADERS_LIMIT = 256
"""How many headers a request may have."""

BUFFER_LIMIT = 64 << 10
"""Bytes of a request's body that may wait for the application before the connection is read no further."""

HEAD_TIMEOUT = 10.0
"""Seconds from the first byte of a request to the end of its headers."""

BODY_TIMEOUT = 30.0
"""Seconds that a body may make no progress."""

WRITE_TIMEOUT = 120.0
"""Seconds that a caller may leave its answer unread."""

LINGER = 2.0
"""Seconds for which input is thrown away after a refusal, so that a reset does not overtake the answer."""

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in http.HTTPStatus}
_NO_BODY = frozenset({204, 304})


class Protocol(asyncio.Protocol):
    """One connection of a caller."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002 - uvicorn gives it to every protocol
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.app = config.loaded_app
        self.loop = _loop or asyncio.get_running_loop()
        self.keepalive = config.timeout_keep_alive
        self.state = server_state
        self.writable = asyncio.Event()
        self.writable.set()
        self._parser = httptools.HttpRequestParser(self)
        self._exchanges: deque[Exchange] = deque()  # the first is being answered, the others were sent ahead
        self._incoming: Exchange | None = None  # its body is not whole yet
        self._in_head = self._resumed = self._lingering = False
        self._head_size = 0
        self._deadline = self.loop.time() + self.keepalive

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server makes
        self.transport = transport
        self._server = transport.get_extra_info("sockname")[:2]
        self._client = transport.get_extra_info("peername")[:2]
        self._scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self.state.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own protocols only

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.state.connections.discard(self)
        self.writable.set()
        for exchange in self._exchanges:
            exchange.disconnect()

    def pause_writing(self) -> None:
        self.writable.clear()
        self._stalled = self.loop.time()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        if self._incoming is None and not self._in_head:
            self._in_head, self._head_size = True, 0
            self._deadline = self.loop.time() + HEAD_TIMEOUT
        if self._in_head:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            self._refuse(error.__context__)
        except httptools.HttpParserError:
            self._refuse(errors.InvalidRequest("The request is not HTTP/1.1."))
        else:
            if self._in_head and self._head_size > HEAD_LIMIT:
                self._refuse(errors.HeadersTooLarge(f"The headers are over {HEAD_LIMIT} bytes."))

    # What uvicorn's server asks for

    def shutdown(self) -> None:
        """Close once nothing is under way."""
        if self._exchanges:
            for exchange in self._exchanges:
                exchange.keep_alive = False
        else:
            self.transport.close()

    def check(self, now: float) -> None:
        """Close a connection that is over its time; called about once a second."""
        if not self.writable.is_set() and now > self._stalled + WRITE_TIMEOUT:
            self.transport.abort()
        if now < self._deadline or self.transport.is_closing():
            return
        if self._in_head and not self._exchanges:
            self._refuse(errors.RequestTimeout(f"The headers took over {HEAD_TIMEOUT:g} s."))
        elif self._lingering or not self._exchanges or self._exchanges[0].waiting:
            self.transport.close()

    # httptools

    def on_message_begin(self) -> None:
        if self._resumed:
            return
        self._in_head = True
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        if not self._resumed:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head and not self._resumed:  # a trailer is dropped
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._resumed:
            self._resumed = False
            return
        self._in_head = False
        method, version = self._parser.get_method().decode("ascii"), self._parser.get_http_version()
        length, chunked = _framing(version, self._headers)
        path, query, target = _target(method, self._target)
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "root_path": "",
            "method": method,
            "path": unquote(path.decode("latin-1")) if b"%" in path else path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "target": target,
            "headers": self._headers,
        }
        exchange = Exchange(self, scope, keep_alive=version == "1.1" and self._parser.should_keep_alive())
        if length or chunked:
            exchange.more_body = True
            self._incoming = exchange
            self.made_progress()
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            self._start(exchange)
        else:
            self.transport.pause_reading()

    def on_body(self, body: bytes) -> None:
        if self._incoming is not None:
            self.made_progress()
            self._incoming.feed(body)

    def on_message_complete(self) -> None:
        # The parser takes a request that asks for an upgrade for whole at the end of its head.
        if self._incoming is not None and not self._parser.should_upgrade():
            self._incoming.feed_end()
            self._incoming = None

    # The connection's own

    def made_progress(self) -> None:
        """Begin to count the time for a body anew."""
        self._deadline = self.loop.time() + BODY_TIMEOUT

    def finished(self, exchange: "Exchange") -> None:
        """Go on after an answer: with a request that was sent ahead, or with waiting for one."""
        self.state.total_requests += 1
        self._exchanges.remove(exchange)
        if self.transport.is_closing():
            return
        if not exchange.keep_alive or self._incoming is exchange:
            # With a body still to come, what comes next cannot be told from it in bounded time.
            self._close()
            return
        self._deadline = self.loop.time() + self.keepalive
        if self._exchanges:
            self._start(self._exchanges[0])
        else:
            self.transport.resume_reading()

    def _start(self, exchange: "Exchange") -> None:
        task = self.loop.create_task(exchange.run())
        self.state.tasks.add(task)
        task.add_done_callback(self.state.tasks.discard)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Take the request as if it had not asked (RFC 9110, section 7.8), with the body that the parser will not see.

        Java's HttpClient asks for h2c with every call over plain HTTP.
        """
        self._parser = httptools.HttpRequestParser(self)
        if self._incoming is not None:
            framing = next(
                b"%b: %b" % header for header in self._headers if header[0] in {b"content-length", b"transfer-encoding"}
            )
            self._resumed = True
            self._parser.feed_data(b"POST / HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % framing)
        if rest:
            self.data_received(rest)

    def _refuse(self, error: BaseException | None) -> None:
        """Answer what is no request, and close; never in the middle of another answer."""
        if not isinstance(error, errors.ProxyError):
            operator.error(f"a fault of the proxy itself, in reading a request: {type(error).__name__}")
            error = errors.InternalError("The proxy failed.", run_started="no")
        if self._exchanges:
            if self._incoming is not None:
                self._incoming.break_off()
            self._exchanges[-1].keep_alive = False
            self._lingering = True
            return
        body = error.body(uuid.uuid4().hex)
        self.transport.write(
            _status_line(error.status)
            + b"content-type: application/json\r\ncontent-length: %d\r\nproxy-status: %b\r\nconnection: close\r\n\r\n%b"
            % (len(body), error.proxy_status().encode("ascii"), body)
        )
        self._close()

    def _close(self) -> None:
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.transport.resume_reading()
            self._lingering = True
            self._deadline = self.loop.time() + LINGER
        else:
            self.transport.close()


class Exchange:
    """One request and its answer, as ASGI sees them (spec version 2.4: sending to nobody raises `OSError`)."""

    def __init__(self, protocol: Protocol, scope: Scope, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.more_body = False
        self._protocol = protocol
        self._scope = scope
        self._body = bytearray()
        self._arrived = asyncio.Event()
        self.waiting = False
        self._disconnected = self._broken_off = False
        self._continue = any(name == b"expect" and value.lower() == b"100-continue" for name, value in scope["headers"])
        self._given_all = False
        self._head: bytes | None = None  # kept until the body's first piece, so that both go in one write
        self._begun = self._ended = self._chunked = False
        self._left: int | None = None

    async def run(self) -> None:
        """Have the application answer."""
        try:
            await self._protocol.app(self._scope, self.receive, self.send)
        except OSError:
            if not self._disconnected:
                self.abort()
        except Exception as fault:
            operator.error(f"a fault of the proxy itself, in answering a request: {type(fault).__name__}")
            self.abort()
        if not self._ended:
            self.abort()

    def abort(self) -> None:
        """Break the connection off: an answer that is not whole must not look whole."""
        self._protocol.transport.abort()

    def feed(self, body: bytes) -> None:
        """A piece of the request's body."""
        if self._ended:
            return
        self._body += body
        if len(self._body) > BUFFER_LIMIT:
            self._protocol.transport.pause_reading()
        self._arrived.set()

    def feed_end(self) -> None:
        """The end of the request's body."""
        self.more_body = False
        self._arrived.set()

    def break_off(self) -> None:
        """What follows of the request's body cannot be read."""
        self._broken_off = True
        self._arrived.set()

    def disconnect(self) -> None:
        """The caller is gone."""
        self._disconnected = True
        self._arrived.set()

    async def receive(self) -> Message:
        """ASGI's receive."""
        if self._continue and not self._begun and self.more_body and not self._body:
            self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._continue = False
        while not (self._over or self._body or (not self.more_body and not self._given_all)):
            await self._wait()
        if self._over:
            return {"type": "http.disconnect"}
        body = bytes(self._body)
        self._body.clear()
        self._given_all = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    @property
    def _over(self) -> bool:
        return self._disconnected or self._broken_off or self._ended

    async def _wait(self) -> None:
        self._protocol.made_progress()
        self._protocol.transport.resume_reading()
        self._arrived.clear()
        self.waiting = self.more_body
        try:
            await self._arrived.wait()
        finally:
            self.waiting = False

    async def send(self, message: Message) -> None:
        """ASGI's send. An empty piece of a body that has more to come sends the head at once."""
        await self._protocol.writable.wait()
        if self._disconnected:
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
            self._protocol.finished(self)

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        self._begun = True
        names = {name for name, _ in headers}
        bodiless = self._scope["method"] == "HEAD" or status in _NO_BODY
        own = [header for header in self._protocol.state.default_headers if header[0] not in names]
        if bodiless:
            self._left = 0
        elif b"content-length" in names:
            self._left = int(dict(headers)[b"content-length"])
        elif self._scope["http_version"] == "1.1":
            self._chunked = True
            own.append((b"transfer-encoding", b"chunked"))
        else:
            self.keep_alive = False
        if not self.keep_alive:
            own.append((b"connection", b"close"))
        lines = [b"%b: %b\r\n" % header for header in (*headers, *own)]
        return b"".join([_status_line(status), *lines, b"\r\n"])

    def _write(self, body: bytes, more: bool) -> None:
        if self._left is not None:
            body = body[: self._left]
            self._left -= len(body)
        if self._chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        if self._head is not None:
            body, self._head = self._head + body, None
        self._protocol.transport.write(body)


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def _framing(version: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, bool]:
    """Length of the body, or that it is chunked (RFC 9112, section 6).

    Raises:
        errors.InvalidRequest: two servers could read it in two ways.
        errors.HeadersTooLarge: too much of a head.
    """
    hosts, lengths, codings, size = 0, [], [], 0
    for name, value in headers:
        size += len(name) + len(value) + 4
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
    if size > HEAD_LIMIT or len(headers) > HEADERS_LIMIT:
        raise errors.HeadersTooLarge(f"More than {HEADERS_LIMIT} headers, or {HEAD_LIMIT} bytes of them.")
    if version not in {"1.0", "1.1"}:
        raise errors.InvalidRequest("The proxy speaks HTTP/1.1.")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise errors.InvalidRequest("A request has one Host header.")
    if codings and (codings != [b"chunked"] or lengths or version == "1.0"):
        raise errors.InvalidRequest("The only transfer coding is chunked, without Content-Length.")
    if len(lengths) > 1:
        raise errors.InvalidRequest("A request has one Content-Length.")
    return int(lengths[0]) if lengths else 0, bool(codings)


def _target(method: str, raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Path, query and the two together as they came, of the origin form or the absolute form (RFC 9112, section 3.2).

    Raises:
        errors.InvalidRequest: another form, or a method that is not served.
    """
    if method in {"CONNECT", "TRACE"}:
        raise errors.MethodNotAllowed(f"{method} is not served.")
    target = raw
    if raw[:7].lower() == b"http://" or raw[:8].lower() == b"https://":
        # The authority in it counts for nothing: the upstream is the configured one.
        rest = raw.partition(b"://")[2]
        cut = min((index for mark in b"/?" if (index := rest.find(mark)) >= 0), default=len(rest))
        target = rest[cut:] if rest[cut : cut + 1] == b"/" else b"/" + rest[cut:]
    if not target.startswith(b"/") or b"#" in target:
        raise errors.InvalidRequest("The target of the request is no path.")
    path, _, query = target.partition(b"?")
    return path, query, target
