"""HTTP/1.1 from callers: what a connection may send, and how long it may take.

uvicorn calls this for each connection (its ``http`` setting). Its own protocols lose the body of a request that asks
for an upgrade, wait without end for half a request, and take framing that other servers refuse.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

import httptools
import uvicorn
from starlette.types import Scope
from uvicorn.server import ServerState

from proxy import errors
from proxy.callers.log import operator
from proxy.gateway.delivery import State, acknowledged
from proxy.gateway.exchange import Exchange, refusal, reset
from proxy.gateway.headers import Header
from proxy.gateway.request import HEAD_LIMIT, check, escaped, target_of
from proxy.gateway.tls import Session

AHEAD_LIMIT = 100
"""Requests that a caller may send ahead of their answers."""

HEAD_TIMEOUT = 10.0
"""Seconds from the first byte of a request to the end of its headers."""

BODY_TIMEOUT = 30.0
"""Seconds that a body may make no progress."""

WRITE_TIMEOUT = 120.0
"""Seconds that a caller may leave its answer unread."""

LINGER = 2.0
"""Seconds for which input is thrown away after a refusal, so that a reset does not overtake the answer."""


class Protocol(asyncio.Protocol):
    """One connection of a caller.

    An application that puts ``connected`` into its lifespan's state is told of each that begins (1) or ends (-1), after
    the port that it is on. The scope of a call has, beyond what ASGI knows, its ``target`` as it came, the first value
    of each header in ``fields``, and in ``delivery`` whether its answer reaches the caller.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.app = config.loaded_app
        self.loop = _loop or asyncio.get_running_loop()
        self.keepalive = config.timeout_keep_alive
        self.state = server_state
        self._connected: Callable[[int, int], None] | None = app_state.get("connected")
        self.writable = asyncio.Event()
        self.writable.set()
        self._parser = httptools.HttpRequestParser(self)
        self._exchanges: deque[Exchange] = deque()  # the first is being answered, the others were sent ahead
        self._incoming: Exchange | None = None  # its body is not whole yet
        self._refusal: errors.ProxyError | None = None  # to be answered when the exchanges are done
        self._in_head = self._resumed = self._lingering = self._ended = False
        self._seen = b""  # since the head began, or of the segment that it begins in
        self._head_at: int | None = 0  # where in that, if that is known
        self._overhead = 0  # bytes since the last one of a body
        self._deadline = self.loop.time() + self.keepalive
        self.closed = asyncio.Event()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._server = transport.get_extra_info("sockname")[:2]
        peer = transport.get_extra_info("peername")
        self._client = peer[:2] if peer is not None else None  # who has hung up by now has none
        self._tls: Session | None = transport.get_extra_info("ssl_object")
        self._scheme = "https" if self._tls is not None else "http"
        self.state.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own protocols only
        if self._connected is not None:
            self._connected(self._server[1], 1)
        if self._tls is not None:
            self._tls.begin(self.transport, self._half_closed)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.state.connections.discard(self)
        if self._connected is not None:
            self._connected(self._server[1], -1)
        if self._tls is not None:
            self._tls.end()
        self.writable.set()
        self.closed.set()
        for exchange in self._exchanges:
            exchange.disconnect()

    def eof_received(self) -> bool:
        """The caller has ended its side; what it has asked for before is answered (RFC 9112, section 9.6)."""
        self._ended = True
        if not self._exchanges:
            return False
        if self._incoming is not None:
            self._incoming.break_off()
        for exchange in self._exchanges:
            exchange.delivery.becomes(State.HALF_CLOSED)
        if self._refusal is None:
            self._exchanges[-1].keep_alive = False
        return True

    def _half_closed(self) -> None:
        if not self.transport.is_closing() and not self.eof_received():
            self.transport.close()

    def pause_writing(self) -> None:
        self.writable.clear()
        self._stalled = self.loop.time()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        while data and not self._lingering and self._refusal is None:
            data = self._parse(data)

    def _parse(self, data: bytes) -> bytes:
        """Read on, and give back what is left after a request that asked for an upgrade."""
        self._overhead += len(data)
        before = self._seen if self._in_head else b""
        if not before:
            self._head_at = 0 if self._incoming is None else None
        if self._incoming is None and not before:
            data = data.lstrip(b"\r\n")  # RFC 9112, section 2.2
        self._seen = before + data
        if not data.isascii() and self._incoming is None and b"\n" not in before:
            data = escaped(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade()
            return data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            self._refuse(error.__context__)
        except httptools.HttpParserError:
            self._refuse(errors.InvalidRequest("The request is not HTTP/1.1."))
        else:
            if self._overhead > HEAD_LIMIT:
                self._refuse(errors.HeadersTooLarge(f"The headers are over {HEAD_LIMIT} bytes."))
        if not self._in_head:
            self._seen = b""
        return b""

    # What the server asks for

    def shutdown(self) -> None:
        """Close once nothing is under way."""
        if self._exchanges:
            for exchange in self._exchanges:
                exchange.keep_alive = False
        else:
            self._hang_up()

    def check(self, now: float) -> None:
        """Close a connection that is over its time; called about once a second."""
        if not self.writable.is_set() and now > self._stalled + WRITE_TIMEOUT:
            self.transport.abort()
        elif now < self._deadline:
            return
        elif self.transport.is_closing():  # and its last bytes are still unread
            self.transport.abort()
        elif self._in_head and not self._exchanges and not self._lingering:
            self._refuse(errors.RequestTimeout(f"The headers took over {HEAD_TIMEOUT:g} s."))
        elif not self._exchanges or self._exchanges[0].waiting:
            self._hang_up()

    # httptools

    def on_message_begin(self) -> None:
        if self._resumed:
            return
        self._in_head = True
        self._deadline = self.loop.time() + HEAD_TIMEOUT
        self._target = b""
        self._headers: list[Header] = []

    def on_url(self, url: bytes) -> None:
        if not self._resumed:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head and not self._resumed:  # a trailer is dropped
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._overhead = 0
        if self._resumed:
            self._resumed = False
            return
        self._in_head = False
        method, version = self._parser.get_method().decode("ascii"), self._parser.get_http_version()
        self._check_line(b"%b %b HTTP/%b" % (method.encode(), self._target, version.encode()))
        if len(self._exchanges) >= AHEAD_LIMIT:
            raise errors.Overloaded(f"{AHEAD_LIMIT} requests on this connection are still to be answered.")
        length, chunked = check(version, self._target, self._headers)
        if self._head_at is not None:
            end = self._seen.find(b"\r\n\r\n", self._head_at) + 4
            self._head_at = None if chunked else end + length
        exchange = Exchange(
            self,
            self._scope(method, version),
            keep_alive=self._parser.should_keep_alive(),
        )
        if length or chunked:
            exchange.more_body = True
            self._incoming = exchange
            self.made_progress()
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            exchange.start()
        else:
            self.transport.pause_reading()

    def _scope(self, method: str, version: str) -> Scope:
        path, query, target = target_of(method, self._target)
        return {
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
            "fields": dict(reversed(self._headers)),
        }

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        if self._incoming is not None:
            self.made_progress()
            self._incoming.feed(body)

    def on_message_complete(self) -> None:
        self._overhead = 0
        # The parser takes a request that asks for an upgrade for whole at the end of its head.
        if self._incoming is not None and not self._parser.should_upgrade():
            self._incoming.feed_end()
            self._incoming = None

    # The connection's own

    def made_progress(self) -> None:
        """Begin to count the time for a body anew."""
        self._deadline = self.loop.time() + BODY_TIMEOUT

    def finished(self, exchange: Exchange) -> None:
        """Go on after an answer, once it is known whether a caller that has half-closed takes it."""
        self.state.total_requests += 1
        if exchange.delivery.state is State.HALF_CLOSED:
            self._settling = self.loop.create_task(self._settle(exchange))
        else:
            self._go_on(exchange)

    async def _settle(self, exchange: Exchange) -> None:
        if not (exchange.keep_alive or self.transport.is_closing()) and self.transport.can_write_eof():
            self.transport.write_eof()  # the caller need not wait for that
        taken = await acknowledged(self.transport)
        exchange.delivery.becomes(State.DELIVERED if taken else State.LOST)
        if not taken and not self.transport.is_closing():
            reset(self.transport)  # its run may go to another caller
        self._go_on(exchange)

    def _go_on(self, exchange: Exchange) -> None:
        """Go on with a request that was sent ahead, or with waiting for one."""
        self._exchanges.remove(exchange)
        if self.transport.is_closing():
            return
        if not exchange.keep_alive or self._incoming is exchange:
            # With a body still to come, what comes next cannot be told from it in bounded time.
            self._close()
        elif self._exchanges:
            self._exchanges[0].start()
        elif self._refusal is not None:
            self._refuse(self._refusal)
        else:
            self._deadline = self.loop.time() + (HEAD_TIMEOUT if self._in_head else self.keepalive)
            self.transport.resume_reading()

    def _check_line(self, parsed: bytes) -> None:
        """Compare the request line with what came, for the parser takes those of RTSP and Icecast, too.

        Raises:
            errors.InvalidRequest: they differ by more than what `escaped` has changed, which is undone.
        """
        if self._head_at is None:  # behind a body whose end is not known here
            if parsed + b"\r\n" not in self._seen:
                raise errors.InvalidRequest("The request is not HTTP/1.1.")
            return
        if self._seen.startswith(parsed + b"\r\n", self._head_at):
            return
        line = self._seen[self._head_at :].lstrip(b"\r\n").partition(b"\r\n")[0]
        if line == parsed:
            return
        if line.isascii() or escaped(line) != parsed:
            raise errors.InvalidRequest("The request is not HTTP/1.1.")
        self._target = line.split(b" ")[1]

    def _decline_upgrade(self) -> None:
        """Go on as if the request had not asked (RFC 9110, section 7.8), with the body that the parser will not see.

        Java's HttpClient asks for h2c with every call over plain HTTP.
        """
        self._parser = httptools.HttpRequestParser(self)
        if self._incoming is not None:
            framing = next(
                b"%b: %b" % header for header in self._headers if header[0] in {b"content-length", b"transfer-encoding"}
            )
            self._resumed = True
            self._parser.feed_data(b"POST / HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % framing)

    def _refuse(self, error: BaseException | None) -> None:
        """Answer what is no request, in its turn, and close."""
        if not isinstance(error, errors.ProxyError):
            operator.error(f"a fault of the proxy itself, in reading a request: {type(error).__name__}")
            error = errors.InternalError("The proxy failed.", run_started="no")
        if self._incoming is not None:
            self._incoming.break_off()
        self._refusal = error
        if self._exchanges:
            return
        self.transport.write(refusal(error, self.state.default_headers))
        self._close()

    def _close(self) -> None:
        """Close when the caller has read all, which a reset would keep it from."""
        self._exchanges.clear()
        if self._ended or not self.transport.can_write_eof():
            self._hang_up()
            return
        self.transport.write_eof()
        self.transport.resume_reading()
        self._lingering = True
        self._deadline = self.loop.time() + LINGER

    def _hang_up(self) -> None:
        self.transport.close()
        self._deadline = self.loop.time() + WRITE_TIMEOUT
