"""HTTP/1.1 from callers: what a connection may send, and how long it may take.

uvicorn calls this for each connection (its ``http`` setting). Its own protocols lose the body of a request that asks
for an upgrade, wait without end for half a request, and take framing that other servers refuse.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import unquote

import httptools
import uvicorn
from starlette.types import Scope
from uvicorn.server import ServerState

from proxy import errors
from proxy.gateway.delivery import State, acknowledged
from proxy.gateway.headers import Header, members
from proxy.gateway.server.exchange import Exchange, refusal, reset
from proxy.gateway.server.request import HEAD_LIMIT, check, escaped, target_of
from proxy.gateway.server.tls import Session
from proxy.output.diagnostics import log

CREDIT = 16
"""Bytes of a chunked body, its framing included, that each byte of content pays for; a chunk of one byte takes six."""

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
        self._seen = b""  # the unfinished head, or the piece that is being parsed
        self._head_at = 0  # where the head starts in it
        self._last = b""  # the last three bytes, which may begin an empty line
        self._left: int | None = 0  # bytes of the body still to come; None if it is chunked
        self._overhead = 0  # bytes outside a body, less the credit of that body
        self._deadline = self.loop.time() + self.keepalive
        self.closed = asyncio.Event()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._server = transport.get_extra_info("sockname")[:2]
        peer = transport.get_extra_info("peername")
        self._client = (_unmapped(peer[0]), peer[1]) if peer is not None else None  # who has hung up by now has none
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
        # Most data is parsed in one piece: it is ASCII, and no chunked body, whose last chunk has size 0, ends in it.
        at, is_plain = 0, self._left is not None and data.isascii() and b"\n0" not in data
        while at < len(data) and not self._lingering and self._refusal is None:
            end = len(data) if is_plain else self._cut(data, at)
            at = end - self._parse(data[at:end])
        if self._in_head or self._left is None:
            self._last = (self._last + data)[-3:]

    def _cut(self, data: bytes, at: int) -> int:
        """Where the next piece ends, chosen so that every head starts a piece and its request line is known.

        A body with a length ends the piece itself. Heads and chunked bodies end with an empty line.
        """
        if self._left:
            return min(at + self._left, len(data))
        if at == 0 and (end := (self._last + data[:3]).find(b"\r\n\r\n")) >= 0:
            return end + 4 - len(self._last)
        end = data.find(b"\r\n\r\n", at)
        return end + 4 if end >= 0 else len(data)

    def _parse(self, data: bytes) -> int:
        """Parse a piece. Returns how many bytes are left unparsed after a request that asked for an upgrade."""
        self._overhead += len(data)
        before = self._seen if self._in_head else b""
        if not before:
            self._head_at = self._left or 0
        if self._incoming is None and not before:
            data = data.lstrip(b"\r\n")  # RFC 9112, section 2.2
        self._seen = before + data
        if self._incoming is None and not data.isascii() and b"\n" not in before:
            data = escaped(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade()
            return len(data) - int(upgrade.args[0])
        except httptools.HttpParserCallbackError as error:
            self._refuse(error.__context__)
        except httptools.HttpParserError:
            self._refuse(errors.InvalidRequest("The request is not HTTP/1.1."))
        else:
            if self._overhead > HEAD_LIMIT:
                self._refuse(errors.HeadersTooLarge(f"The headers are over {HEAD_LIMIT} bytes."))
        self._seen = self._seen[self._head_at :].lstrip(b"\r\n") if self._in_head else b""
        self._head_at = 0
        return 0

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
            name = name.lower()
            # White space is no part of a value (RFC 9110, section 5.5), but with a tab the parser knows no chunked.
            self._headers.append((name, value.strip(b" " if name == b"transfer-encoding" else b" \t")))

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
        fields = dict(reversed(self._headers))
        end = self._seen.find(b"\r\n\r\n", self._head_at) + 4
        length, chunked = check(version, end - self._head_at, self._headers, fields)
        self._head_at = end + length
        self._left = None if chunked else length
        exchange = Exchange(
            self,
            self._scope(method, version, fields),
            keep_alive=self._parser.should_keep_alive() and not (version == "1.0" and self._asks_to_close(fields)),
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

    def _asks_to_close(self, fields: Mapping[bytes, bytes]) -> bool:
        # The parser looks for keep-alive alone in a request of HTTP/1.0, but close comes first (RFC 9112, section 9.3).
        return b"connection" in fields and b"close" in members(self._headers, b"connection")

    def _scope(self, method: str, version: str, fields: dict[bytes, bytes]) -> Scope:
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
            "fields": fields,
        }

    def on_body(self, body: bytes) -> None:
        if self._left is None:
            self._overhead = max(0, self._overhead - CREDIT * len(body))
        else:
            self._overhead = 0
            self._left -= len(body)
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
        if self._seen.startswith(parsed + b"\r\n", self._head_at):
            return
        rest = self._seen[self._head_at :].lstrip(b"\r\n")
        self._head_at = len(self._seen) - len(rest)
        line = rest.partition(b"\r\n")[0]
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
            log.error("internal_error", during="reading a request", exception=type(error).__name__)
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


def _unmapped(host: str) -> str:
    """The IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2), which dual-stack sockets show."""
    return host.removeprefix("::ffff:") if "." in host else host
