"""Sockets and signals of one process."""

import asyncio
import contextlib
import gc
import logging
import math
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any, NamedTuple, cast

import uvicorn
from starlette.types import ASGIApp

from proxy.config import Config, Tls
from proxy.config.values import Address
from proxy.gateway.server import protocol
from proxy.gateway.server.acceptor import BATCH, Acceptor
from proxy.gateway.server.descriptors import Shortage
from proxy.gateway.server.protocol import Protocol
from proxy.gateway.server.tls import Context
from proxy.output.diagnostics import log

BACKLOG = 4096
"""Connections that may wait to be accepted: what Linux allows where nobody has changed it."""

KEEPALIVE = 75
"""Seconds for which an idle connection of a caller stays open."""

TICK = 1.0
"""Seconds between two looks for connections that are over their time."""

GRACE = 1.0
"""Seconds in which a call that is cut off writes its record."""


class ServeError(Exception):
    """The proxy cannot start; the message is for the operator."""


class Listeners(NamedTuple):
    """The listening sockets: for callers, and for those who run the proxy."""

    public: socket.socket
    admin: socket.socket | None = None

    @property
    def sockets(self) -> list[socket.socket]:
        """Those that there are."""
        return [bound for bound in self if bound is not None]


def listen(config: Config) -> Listeners:
    """The sockets that the configuration asks for.

    Raises:
        ServeError: one cannot be had.
    """
    public = bind("listen", config.listen)
    return Listeners(public, bind("admin", config.admin) if config.admin is not None else None)


def settle() -> None:
    """Have the garbage collector pass over what there is by now: each look at all of it would take milliseconds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)  # calls leave no cycles behind, and those under way are looked through in vain


@contextlib.contextmanager
def background(app: ASGIApp, *sockets: socket.socket, drain: float = 5, tls: Tls | None = None) -> Iterator[None]:
    """Serve an application from a thread while the block runs."""
    settled = threading.Event()
    server = Server(app, drain, tls=tls, ready=settled.set)

    def run() -> None:
        try:
            with contextlib.suppress(SystemExit):  # it could not start
                server.run(list(sockets))
        finally:
            settled.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    settled.wait()
    if not server.started:
        for bound in sockets:
            bound.close()
        raise ServeError("the server did not start")
    try:
        yield
    finally:
        server.loop.call_soon_threadsafe(server.stop)
        thread.join()


def loopback() -> socket.socket:
    """A listening socket on a free port of the loopback interface."""
    return bind("listen", Address("127.0.0.1", 0))


def _nobody() -> None:
    """Nobody wants to know."""


class Server(uvicorn.Server):
    """uvicorn's server, but it waits for what that one looks for ten times a second, and keeps time while it stops.

    Args:
        app: answers.
        drain: seconds for which a stop waits for the calls under way.
        delay: seconds before that, in which calls are still accepted.
        tls: what to show to callers.
        ready: called when it serves.
        stopping: called when it begins to stop, before the delay.
        places: connections that may be open when another is accepted on the first of the sockets, which is for callers.
        batch: connections that are accepted at a time.

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
        ready: Callable[[], None] = _nobody,
        stopping: Callable[[], None] = _nobody,
        places: float = math.inf,
        batch: int = BATCH,
    ) -> None:
        super().__init__(_settings(app, tls))
        self._drain, self._delay = drain, delay
        self._ready, self._stops = ready, stopping
        self._stopping, self._forced = asyncio.Event(), asyncio.Event()
        self._places, self._batch = places, batch
        self._shortage = Shortage()
        self._acceptors: list[Acceptor] = []

    def stop(self) -> None:
        """Stop once the calls under way have ended; when asked again, at once."""
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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(_fault)
        self._tick()
        await super().startup([])
        for bound in sockets or []:
            self._acceptors.append(self._accepting(bound, math.inf if self._acceptors else self._places))
        self._ready()

    async def main_loop(self) -> None:
        await self._stopping.wait()
        self._stops()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._forced.wait(), self._delay)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        for acceptor in self._acceptors:
            acceptor.close()
        waits = {asyncio.create_task(wait) for wait in (self._calls_end(), self._forced.wait())}
        await asyncio.wait(waits, timeout=self._drain, return_when=asyncio.FIRST_COMPLETED)
        if calls := self.server_state.tasks.copy():
            log.warning("calls_cut_off", calls=len(calls))
            for call in calls:
                call.cancel()
            await asyncio.wait(calls, timeout=GRACE)
        await self.lifespan.shutdown()

    async def _calls_end(self) -> None:
        while connections := self._connections():
            for connection in connections:
                connection.shutdown()
            await asyncio.gather(*(connection.closed.wait() for connection in connections))
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)

    def _connections(self) -> list[Protocol]:
        return cast("list[Protocol]", list(self.server_state.connections))

    def _accepting(self, bound: socket.socket, places: float) -> Acceptor:
        def speaker() -> Protocol:
            return Protocol(self.config, self.server_state, self.lifespan.state, self.loop)

        def room() -> float:
            return places - len(self.server_state.connections)

        bound.listen(BACKLOG)  # it may be only bound yet
        return Acceptor(
            bound,
            speaker,
            room,
            self._shortage,
            tls=self.config.ssl,
            handshake=protocol.HEAD_TIMEOUT,
            batch=self._batch,
        )

    def _tick(self) -> None:
        self.loop.call_later(TICK, self._tick)
        self.server_state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        now = self.loop.time()
        for connection in self._connections():
            connection.check(now)
        self._shortage.check(now)

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


def _settings(app: ASGIApp, tls: Tls | None) -> uvicorn.Config:
    logger = logging.getLogger("uvicorn.error")
    logger.handlers, logger.propagate = [_UvicornLog(logging.WARNING)], False
    logger.setLevel(logging.WARNING)
    settings = uvicorn.Config(
        app,
        http=Protocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEPALIVE,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_context_factory=_context if tls else None,
    )
    try:
        settings.load()
    except ssl.SSLError as error:
        raise ServeError(f"tls: the certificate and the key cannot be used: {error.reason or error}") from None
    except OSError as error:
        raise ServeError(f"tls: {error.filename or 'the certificate'}: {error.strerror}") from None
    return settings


def _context(settings: uvicorn.Config, _: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """The context that uvicorn makes of these settings, but one of ours."""
    context = Context(settings.ssl_version)
    context.load_cert_chain(cast("str", settings.ssl_certfile), settings.ssl_keyfile)
    return context


def bind(key: str, address: Address) -> socket.socket:
    """A listening socket.

    Raises:
        ServeError: it cannot be had; `key` says which address of the configuration that was.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as unless_listening:
            bound = unless_listening.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(where)
            bound.listen(BACKLOG)
            unless_listening.pop_all()
    except OSError as error:
        raise ServeError(f"{key}: {address}: {error.strerror}") from None
    return bound


def address(bound: socket.socket) -> Address:
    """Where a socket listens."""
    return Address(*bound.getsockname()[:2])
