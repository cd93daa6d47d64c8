"""HTTP/1.1 from callers: what a connection may send, and how long it may take.

uvicorn calls this for each connection (its ``http`` setting). Its own protocols lose the body of a request that asks
for an upgrade, wait without end for half a request, and take framing that other servers refuse.
"""

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

import uvicorn
from starlette.types import Scope
from uvicorn.server import ServerState

from proxy import errors
from proxy.gateway.delivery import State, acknowledged
from proxy.gateway.server.exchange import Exchange, refusal, reset
from proxy.gateway.server.parser import RequestHead, RequestParser
from proxy.gateway.server.request import target_of
from proxy.gateway.server.tls import Session
from proxy.output.diagnostics import operator

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


class Phase(enum.Enum):
    """What a connection does with what it receives."""

    SERVING = "requests are answered"
    REFUSING = "input is ignored; answers under way are finished, then the refusal is sent"
    LINGERING = "input is ignored; everything is sent, and the caller has time to read it"


# Python 3.11 takes 0.1 µs to look up a member.
_SERVING, _REFUSING, _LINGERING = Phase
_HALF_CLOSED = State.HALF_CLOSED


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
        self.server_state = server_state
        self._connected: Callable[[int, int], None] | None = app_state.get("connected")
        # of the connection
        self.writable = asyncio.Event()
        self.writable.set()
        self.closed = asyncio.Event()
        self._phase = _SERVING
        self._input_ended = False  # the caller has half-closed
        self._refusal: errors.ProxyError | None = None
        self._deadline = self.loop.time() + self.keepalive
        # of its requests
        self._parser = RequestParser(self)
        self._exchanges: deque[Exchange] = deque()  # the first is being answered, the others were sent ahead
        self._incoming: Exchange | None = None  # the one whose body is still arriving

    def __repr__(self) -> str:
        return f"<Protocol {self._phase.name}, reading {self._parser.reading.name}, {len(self._exchanges)} exchanges>"

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._server = transport.get_extra_info("sockname")[:2]
        peer = transport.get_extra_info("peername")
        self._client = (_unmapped(peer[0]), peer[1]) if peer is not None else None  # who has hung up by now has none
        self._tls: Session | None = transport.get_extra_info("ssl_object")
        self._scheme = "https" if self._tls is not None else "http"
        self.server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own protocols only
        if self._connected is not None:
            self._connected(self._server[1], 1)
        if self._tls is not None:
            self._tls.begin(self.transport, self._half_closed)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.server_state.connections.discard(self)
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
        self._input_ended = True
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
        if self._phase is not _SERVING:
            return
        try:
            self._parser.feed(data)
        except Exception as error:
            self._refuse(error)

    # What the server asks for

    def shutdown(self) -> None:
        """Close once nothing is under way."""
        if self._exchanges:
            for exchange in self._exchanges:
                exchange.keep_alive = False
        else:
            self._hang_up()

    def enforce_timeouts(self, now: float) -> None:
        """Close a connection that is over its time; called about once a second."""
        if not self.writable.is_set() and now > self._stalled + WRITE_TIMEOUT:
            self.transport.abort()
        elif now < self._deadline:
            return
        elif self.transport.is_closing():  # and its last bytes are still unread
            self.transport.abort()
        elif self._parser.is_in_head and not self._exchanges and self._phase is _SERVING:
            self._refuse(errors.RequestTimeout(f"The headers took over {HEAD_TIMEOUT:g} s."))
        elif not self._exchanges or self._exchanges[0].waiting:
            self._hang_up()

    # What the parser calls

    def head_started(self) -> None:
        self._deadline = self.loop.time() + HEAD_TIMEOUT

    def head_received(self, head: RequestHead) -> None:
        if len(self._exchanges) >= AHEAD_LIMIT:
            raise errors.Overloaded(f"{AHEAD_LIMIT} requests on this connection are still to be answered.")
        exchange = Exchange(self, self._scope(head), keep_alive=head.keep_alive, has_body=head.has_body)
        if head.has_body:
            self._incoming = exchange
            self.made_progress()
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            exchange.start()
        else:
            self.transport.pause_reading()

    def _scope(self, head: RequestHead) -> Scope:
        method, version, raw_target, headers, fields, *_ = head
        path, query, target = target_of(method, raw_target)
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
            "headers": headers,
            "fields": fields,
        }

    def body_received(self, body: bytes) -> None:
        if self._incoming is not None:
            self.made_progress()
            self._incoming.feed(body)

    def body_ended(self) -> None:
        if self._incoming is not None:
            self._incoming.feed_end()
            self._incoming = None

    # The connection's own

    def made_progress(self) -> None:
        """Begin to count the time for a body anew."""
        self._deadline = self.loop.time() + BODY_TIMEOUT

    def finished(self, exchange: Exchange) -> None:
        """Go on after an answer, once it is known whether a caller that has half-closed takes it."""
        if exchange.delivery.state is _HALF_CLOSED:
            self._settling_task = self.loop.create_task(self._await_acknowledgement(exchange))
        else:
            self._continue_after(exchange)

    async def _await_acknowledgement(self, exchange: Exchange) -> None:
        if not (exchange.keep_alive or self.transport.is_closing()) and self.transport.can_write_eof():
            self.transport.write_eof()  # the caller need not wait for that
        taken = await acknowledged(self.transport)
        exchange.delivery.becomes(State.DELIVERED if taken else State.LOST)
        if not taken and not self.transport.is_closing():
            reset(self.transport)  # its run may go to another caller
        self._continue_after(exchange)

    def _continue_after(self, exchange: Exchange) -> None:
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
            self._deadline = self.loop.time() + (HEAD_TIMEOUT if self._parser.is_in_head else self.keepalive)
            self.transport.resume_reading()

    def _refuse(self, error: BaseException | None) -> None:
        """Answer what is no request, in its turn, and close."""
        if not isinstance(error, errors.ProxyError):
            operator.error(f"a fault of the proxy itself, in reading a request: {type(error).__name__}")
            error = errors.InternalError("The proxy failed.", run_started="no")
        if self._incoming is not None:
            self._incoming.break_off()
        self._phase, self._refusal = _REFUSING, error
        if self._exchanges:
            return
        self.transport.write(refusal(error, self.server_state.default_headers))
        self._close()

    def _close(self) -> None:
        """Close when the caller has read all, which a reset would keep it from."""
        self._exchanges.clear()
        if self._input_ended or not self.transport.can_write_eof():
            self._hang_up()
            return
        self.transport.write_eof()
        self.transport.resume_reading()
        self._phase = _LINGERING
        self._deadline = self.loop.time() + LINGER

    def _hang_up(self) -> None:
        self.transport.close()
        self._deadline = self.loop.time() + WRITE_TIMEOUT


def _unmapped(host: str) -> str:
    """The IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2), which dual-stack sockets show."""
    return host.removeprefix("::ffff:") if "." in host else host
