"""The server of one process."""

import asyncio
import contextlib
import logging
import math
import socket
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from proxy.callers.trusted_proxies import TrustedProxies
from proxy.config import Tls
from proxy.gateway.server import protocol
from proxy.gateway.server.acceptor import BATCH, Acceptor
from proxy.gateway.server.certificate import server_context
from proxy.gateway.server.client_address import ClientAddresses
from proxy.gateway.server.descriptors import ADMIN_CONNECTIONS, Shortage
from proxy.gateway.server.exchange import ServerState
from proxy.gateway.server.listeners import ServeError, address
from proxy.gateway.server.memory import MemoryTrimmer, give_back_large_allocations
from proxy.gateway.server.protocol import Protocol
from proxy.gateway.server.proxy_protocol import Client
from proxy.gateway.server.tls import Context
from proxy.output.diagnostics import log

TICK = 1.0
"""Seconds between two checks of time limits."""

GRACE = 1.0
"""Seconds in which a call that is cut off can write its record."""


@contextlib.contextmanager
def background(
    app: ASGIApp,
    *sockets: socket.socket,
    drain: float = 5,
    tls: Tls | None = None,
    behind: TrustedProxies | None = None,
) -> Iterator[None]:
    """Serve an application from a thread while the block runs."""
    done = threading.Event()
    server = Server(app, drain, tls=tls, ready=done.set, behind=behind)

    def run() -> None:
        try:
            with contextlib.suppress(SystemExit):  # the application could not start
                server.run(list(sockets))
        finally:
            done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    done.wait()
    if not server.started:
        for bound in sockets:
            bound.close()
        raise ServeError("the server did not start")
    try:
        yield
    finally:
        server.loop.call_soon_threadsafe(server.stop)
        thread.join()


def _do_nothing() -> None:
    """Do nothing."""


class Server(uvicorn.Server):
    """uvicorn's server, without polling, and with time limits that hold during a stop.

    It serves until `stop` or `drain`. Then it accepts calls for `delay` seconds more, waits at most `drain` seconds for
    those under way, and cuts off the others. `end` skips both.

    The lifespan of the application may set in its state: ``connected``, which `Protocol` calls for each connection;
    ``budget`` and ``refused``, as in `ServerState`; and ``sample``, which is called about once a second.

    Args:
        app: the ASGI application.
        drain: seconds for which a stop waits for the calls under way.
        delay: seconds before that, in which calls are still accepted.
        tls: the certificate; None for plain HTTP.
        ready: called when it serves.
        stopping: called when it begins to stop, before the delay.
        max_connections: limit of open connections, beyond which the first socket, for callers, accepts no more. The
            second one, for the admin pages, has `ADMIN_CONNECTIONS`.
        batch: connections to accept at a time.
        behind: the balancers that say by the PROXY protocol who connects to the first socket; nobody else may connect
            to it. None if callers connect themselves.

    Raises:
        ServeError: the certificate or its key cannot be used.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        app: ASGIApp,
        drain: float,
        *,
        delay: float = 0,
        tls: Tls | None = None,
        ready: Callable[[], None] = _do_nothing,
        stopping: Callable[[], None] = _do_nothing,
        max_connections: float = math.inf,
        batch: int = BATCH,
        behind: TrustedProxies | None = None,
    ) -> None:
        super().__init__(_settings(app))
        self._asgi, self._state = app, ServerState()
        self._tls = server_context(tls) if tls is not None else None
        self._drain, self._delay = drain, delay
        self._on_ready, self._on_stopping = ready, stopping
        self._stopping, self._forced = asyncio.Event(), asyncio.Event()
        self._max_connections, self._batch = max_connections, batch
        self._behind = behind
        self._shortages = (
            Shortage(),
            Shortage(lambda: ADMIN_CONNECTIONS, "the admin listener has no more; see who keeps them"),
        )
        self._trimmer = MemoryTrimmer()
        self._acceptors: list[Acceptor] = []

    def stop(self) -> None:
        """Stop once the calls under way have ended. A second call stops at once."""
        if self._stopping.is_set():
            self.end()
        self.drain()

    def drain(self) -> None:
        """Stop once the calls under way have ended."""
        self._stopping.set()

    def end(self) -> None:
        """Stop at once."""
        self._forced.set()
        self._stopping.set()

    def show(self, certificate: Context) -> None:
        """Show another certificate on new connections."""
        for acceptor in self._acceptors:
            acceptor.tls = certificate

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(_fault)
        self._tick()
        give_back_large_allocations()
        await super().startup([])
        self._state.budget = self.lifespan.state.get("budget", self._state.budget)
        self._state.refused = self.lifespan.state.get("refused", self._state.refused)
        for bound in sockets or []:
            self._acceptors.append(self._accept_on(bound, is_admin=bool(self._acceptors)))
        self._on_ready()

    async def main_loop(self) -> None:
        await self._stopping.wait()
        self._state.is_stopping = True
        self._on_stopping()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._forced.wait(), self._delay)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        for acceptor in self._acceptors:
            acceptor.close()
        waits = {asyncio.create_task(wait) for wait in (self._finish_calls(), self._forced.wait())}
        await asyncio.wait(waits, timeout=self._drain, return_when=asyncio.FIRST_COMPLETED)
        if calls := self._state.tasks.copy():
            log.warning("calls_cut_off", calls=len(calls))
            for call in calls:
                call.cancel()
            await asyncio.wait(calls, timeout=GRACE)
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.gather(*(connection.closed.wait() for connection in list(self._state.connections)))
        await self.lifespan.shutdown()

    async def _finish_calls(self) -> None:
        await asyncio.gather(*(acceptor.settle() for acceptor in self._acceptors))
        while connections := list(self._state.connections):
            for connection in connections:
                connection.shutdown()
            await asyncio.gather(*(connection.closed.wait() for connection in connections))
        await asyncio.gather(*self._state.tasks, return_exceptions=True)

    def _accept_on(self, bound: socket.socket, *, is_admin: bool) -> Acceptor:
        listener = address(bound).name

        def new_protocol(client: Client | None = None) -> Protocol:
            return Protocol(self._asgi, self._state, self.lifespan.state.get("connected"), client)

        def room() -> float:
            connections: set[Protocol] = self._state.connections
            if is_admin:
                return ADMIN_CONNECTIONS - sum(connection.listener == listener for connection in connections)
            return self._max_connections - len(connections)

        client_of = None
        if self._behind is not None and not is_admin:
            client_of = ClientAddresses(self._behind, protocol.HEAD_TIMEOUT, self._state.refused).read
        return Acceptor(
            bound,
            new_protocol,
            room,
            self._shortages[is_admin],
            tls=self._tls,
            handshake=protocol.HEAD_TIMEOUT,
            client_of=client_of,
            batch=self._batch,
        )

    def _tick(self) -> None:
        self.loop.call_later(TICK, self._tick)
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        now = self.loop.time()
        for connection in list(self._state.connections):
            connection.enforce_timeouts(now)
        for shortage in self._shortages:
            shortage.update(now)
        self._trimmer.update(len(self._state.connections) + len(self._state.tasks))
        self.lifespan.state.get("sample", _do_nothing)()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again after a clean stop, and the exit status would not be 0.
        yield


def _fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log one event where asyncio would print a traceback."""
    exception = type(context["exception"]).__name__ if "exception" in context else None
    message = None if exception else context["message"]
    log.error("internal_error", during="the event loop", exception=exception, message=message)


class _UvicornLog(logging.Handler):
    """Passes uvicorn's messages on as events. Of a traceback, only the last line is kept."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, "server_message", message=record.getMessage().strip().rpartition("\n")[2])


def _settings(app: ASGIApp) -> uvicorn.Config:
    logger = logging.getLogger("uvicorn.error")
    logger.handlers, logger.propagate = [_UvicornLog(logging.WARNING)], False
    logger.setLevel(logging.WARNING)
    return uvicorn.Config(
        app,
        http=asyncio.Protocol,  # never used: the acceptors make the connections
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
    )
