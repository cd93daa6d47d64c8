"""Connections of callers: requests are answered in order, and everything has a time limit.

uvicorn's own protocols lose the body of a request that asks for an upgrade, wait forever for the rest of a request, and
accept framing that other servers refuse.
"""

import asyncio
import enum
from collections.abc import Callable
from typing import cast
from urllib.parse import unquote

from starlette.types import ASGIApp, Scope

from proxy import errors
from proxy.callers.trusted_proxies import UNIX_PEER
from proxy.gateway.buffered import UNCOUNTED, Held
from proxy.gateway.delivery import Delivery, State, acknowledged
from proxy.gateway.event import Event
from proxy.gateway.head import EXTENSION, Head
from proxy.gateway.server.exchange import MIN_RATE, Exchange, ServerState, refusal, reset
from proxy.gateway.server.parser import RequestParser
from proxy.gateway.server.proxy_protocol import Client
from proxy.gateway.server.request import target_of
from proxy.gateway.server.tls import Session
from proxy.output.diagnostics import log

AHEAD_LIMIT = 100
"""How many requests of a connection may be unanswered at a time."""

KEEPALIVE = 75
"""Seconds for which an idle connection stays open."""

IDLE_GRACE = 2.0
"""Seconds after the last answer before a stop closes an idle connection: its caller may be sending a request."""

HEAD_TIMEOUT = 10.0
"""Seconds from the first byte of a request to the end of its headers."""

BODY_TIMEOUT = 30.0
"""Seconds without any progress of a body."""

WRITE_TIMEOUT = 60.0
"""Seconds in which a caller has to take the piece of its answer that is being sent."""

LINGER = 2.0
"""Seconds for which input is discarded after the last answer. A close would reset the connection before it is read."""


class Phase(enum.Enum):
    """What a connection does with its input."""

    SERVING = "requests are answered"
    REFUSING = "input is discarded; a refusal is sent once the requests before it are answered"
    LINGERING = "input is discarded; the last answer is sent, and the caller has time to read it"


# Python 3.11 takes 0.1 µs to look up a member.
_SERVING, _REFUSING, _LINGERING = Phase
_HALF_CLOSED = State.HALF_CLOSED


class Protocol(asyncio.Protocol):
    """One connection of a caller.

    The scope of a call has its `Head` in its extensions.

    Args:
        app: the ASGI application.
        server_state: shared by all connections.
        connected: called with `listener` and 1 when the connection begins, and with `listener` and -1 when it ends.
        client: the caller, if a balancer has connected on its behalf.

    Attributes:
        listener: the port, or the path of the Unix socket, that it was accepted on.
    """

    def __init__(
        self,
        app: ASGIApp,
        server_state: ServerState,
        connected: Callable[[int | str, int], None] | None,
        client: Client | None = None,
    ) -> None:
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.server_state = server_state
        self._connected = connected
        self._client = client
        # of the connection
        self.writable = Event(is_set=True)
        self.closed = Event(is_set=False)
        self._phase = _SERVING
        self._input_ended = False  # the caller has half-closed
        self._refusal: errors.ProxyError | None = None
        self._deadline = self.loop.time() + KEEPALIVE
        # of its requests
        self._parser = RequestParser(self)
        self._exchanges: list[Exchange] = []  # the first is being answered, the others were sent ahead
        self._incoming: Exchange | None = None  # the one whose body is still arriving
        self._held = Held(server_state.budget)  # of a head that is still arriving

    def __repr__(self) -> str:
        return f"<Protocol {self._phase.name}, reading {self._parser.reading.name}, {len(self._exchanges)} exchanges>"

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=1)  # one piece of an answer at a time; over TLS, 0 is never resumed
        server, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        is_unix = isinstance(server, str)
        self._server = (server, None) if is_unix else server[:2]
        self.listener: int | str = server if is_unix else server[1]
        if self._client is None and not is_unix and peer is not None:  # it has none if the caller is gone already
            self._client = (_unmapped(peer[0]), peer[1])
        self._peer = self._client[0] if self._client is not None else UNIX_PEER if is_unix else None
        self._tls: Session | None = transport.get_extra_info("ssl_object")
        self._scheme = "https" if self._tls is not None else "http"
        self.server_state.connections.add(self)
        if self._connected is not None:
            self._connected(self.listener, 1)
        if self._tls is not None:
            self._tls.begin(self.transport, self._half_closed)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.server_state.connections.discard(self)
        if self._connected is not None:
            self._connected(self.listener, -1)
        if self._tls is not None:
            self._tls.end()
        self.writable.set()
        self.closed.set()
        self._held.release()
        for exchange in self._exchanges:
            exchange.disconnect()

    def eof_received(self) -> bool:
        """Answer the requests so far of a caller that has ended its side (RFC 9112, section 9.6)."""
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
        if self._held.size or len(self._parser.seen) > UNCOUNTED:
            self._held.wait(len(self._parser.seen), self._give_up_head)

    def _give_up_head(self) -> None:
        self._parser = RequestParser(self)
        if self._held.problem is not None:
            self._refuse(self._held.problem())

    # The server calls these

    def shutdown(self) -> None:
        """Close once the requests so far are answered, and no other can be on its way."""
        if self._phase is _SERVING and not self._exchanges:
            self._expect_request(self.loop.time() if self._parser.is_in_head else self._deadline - KEEPALIVE)

    def enforce_timeouts(self, now: float) -> None:
        """Close the connection if a time limit is over. Called about once a second."""
        if not self.writable.is_set() and now > self._stalled + WRITE_TIMEOUT:
            self.server_state.refused("unread_answer")
            self.transport.abort()
        elif self._exchanges and self._exchanges[0].is_too_slow(now):
            slow = f"The body came with less than {MIN_RATE} bytes a second."
            self._exchanges[0].refuse(lambda: errors.RequestTimeout(slow, limit="body_rate"))
        elif now < self._deadline:
            return
        elif self.transport.is_closing():  # but its last bytes are unread
            self.transport.abort()
        elif self._parser.is_in_head and not self._exchanges and self._phase is _SERVING:
            self._refuse(errors.RequestTimeout(f"The headers took over {HEAD_TIMEOUT:g} s.", limit="head_time"))
        elif not self._exchanges:
            self._hang_up()
        elif self._exchanges[0].waiting:
            paused = f"The body paused for over {BODY_TIMEOUT:g} s."
            self._exchanges[0].refuse(lambda: errors.RequestTimeout(paused, limit="body_time"))

    # The parser calls these

    def head_started(self) -> None:
        self._deadline = self.loop.time() + HEAD_TIMEOUT

    def head_received(self) -> None:
        if len(self._exchanges) >= AHEAD_LIMIT:
            too_many = f"{AHEAD_LIMIT} requests on this connection are still to be answered."
            raise errors.Overloaded(too_many, limit="pipelined")
        if self._held.size:
            self._held.release()
        parser = self._parser
        exchange = Exchange(self, self._scope(), keep_alive=parser.keep_alive, has_body=parser.has_body)
        if parser.has_body:
            self._incoming = exchange
            self.made_progress()
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            exchange.start()
        else:
            self.transport.pause_reading()

    def _scope(self) -> Scope:
        parser = self._parser
        method, version = parser.method, parser.version
        path, query, target = target_of(method, parser.target)
        delivery, held = Delivery(), Held(self.server_state.budget)
        head = Head(
            method, path, target, parser.headers, parser.fields, self._scheme, version, self._peer, delivery, held
        )
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
            "headers": parser.headers,
            "extensions": {EXTENSION: head},
        }

    def body_received(self, body: bytes) -> None:
        if self._incoming is not None:
            self.made_progress()
            self._incoming.feed(body)

    def body_ended(self) -> None:
        if self._incoming is not None:
            self._incoming.feed_end()
            self._incoming = None

    # Exchanges call these

    def made_progress(self) -> None:
        """Restart the time limit for the body."""
        self._deadline = self.loop.time() + BODY_TIMEOUT

    def finished(self, exchange: Exchange) -> None:
        """Continue after an answer. If the caller has half-closed, find out first whether it took the answer."""
        if exchange.delivery.state is _HALF_CLOSED:
            self._settling_task = self.loop.create_task(self._await_acknowledgement(exchange))
        else:
            self._continue_after(exchange)

    async def _await_acknowledgement(self, exchange: Exchange) -> None:
        if not (exchange.keep_alive or self.transport.is_closing()) and self.transport.can_write_eof():
            self.transport.write_eof()  # so that the caller need not wait
        taken = await acknowledged(self.transport)
        exchange.delivery.becomes(State.DELIVERED if taken else State.LOST)
        if not taken and not self.transport.is_closing():
            reset(self.transport)  # its retry may get the run, so it must not get the answer
        self._continue_after(exchange)

    def _continue_after(self, exchange: Exchange) -> None:
        """Continue with the next request, or wait for one."""
        self._exchanges.remove(exchange)
        if self.transport.is_closing():
            return
        if not exchange.keep_alive or self._incoming is exchange:
            # The next request only begins after the rest of the body, which may be endless.
            self._close()
        elif self._exchanges:
            self._exchanges[0].start()
        elif self._refusal is not None:
            self._refuse(self._refusal)
        else:
            self._expect_request(self.loop.time())
            self.transport.resume_reading()

    def _expect_request(self, since: float) -> None:
        """Wait for the next request, which may have begun to arrive."""
        if self.server_state.is_stopping:
            self._deadline = since + IDLE_GRACE
            self.loop.call_at(self._deadline, self._enforce_deadline)
        else:
            self._deadline = since + (HEAD_TIMEOUT if self._parser.is_in_head else KEEPALIVE)

    def _enforce_deadline(self) -> None:
        self.enforce_timeouts(max(self.loop.time(), self._deadline))

    def _refuse(self, error: Exception) -> None:
        """Answer an invalid request after those before it, and close."""
        if not isinstance(error, errors.ProxyError):
            log.error("internal_error", during="reading a request", exception=type(error).__name__)
            error = errors.InternalError("The proxy failed.", run_started="no")
        if error.limit is not None and self._phase is _SERVING:
            self.server_state.refused(error.limit)
        if self._incoming is not None:
            self._incoming.break_off()
        self._held.release()
        self._phase, self._refusal = _REFUSING, error
        if self._exchanges:
            return
        self.transport.write(refusal(error, self.server_state.default_headers))
        self._close()

    def _close(self) -> None:
        """Close after the caller had time to read everything."""
        for exchange in self._exchanges:
            exchange.disconnect()
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
    """Return the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) of a dual-stack socket."""
    return host.removeprefix("::ffff:") if "." in host else host
