"""Sockets and signals."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from proxy.callers.log import operator
from proxy.config import Address, Config, Tls
from proxy.gateway.app import App
from proxy.gateway.protocol import Protocol

BACKLOG = 2048
KEEPALIVE = 75
"""Seconds for which an idle connection of a caller stays open."""


class ServeError(Exception):
    """The proxy cannot start; the message is for the operator."""


def serve(config: Config, announce: bool) -> None:
    """Run until a signal ends it.

    Args:
        config: the whole configuration.
        announce: say on standard error where it listens, forwards and logs.

    Raises:
        ServeError: a port or the caller log cannot be opened.
    """
    public = bind("listen", config.listen)
    admin = bind("admin", config.admin) if config.admin is not None else None
    try:
        app = App(config, admin.getsockname()[1] if admin is not None else None)
    except OSError as error:
        raise ServeError(f"callers.log: {error.filename or config.callers.log}: {error.strerror}") from None
    if announce:
        scheme = "https" if config.tls else "http"
        operator.info(f"listening on {scheme}://{_address(public)}")
        operator.info(f"forwarding to {config.upstream.url}")
        operator.info(f"logging callers to {config.callers.log}")
    _Server(_settings(app, config.limits.drain, config.tls)).run([s for s in (public, admin) if s is not None])


@contextlib.contextmanager
def background(app: ASGIApp, *sockets: socket.socket, drain: float = 5) -> Iterator[None]:
    """Serve an application from a thread while the block runs."""
    server = _Server(_settings(app, drain))

    def run() -> None:
        try:
            server.run(list(sockets))
        finally:
            server.settled.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    server.settled.wait()
    if not server.started:
        raise ServeError("the server did not start")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def loopback() -> socket.socket:
    """A listening socket on a free port of the loopback interface."""
    return bind("listen", Address("127.0.0.1", 0))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                connection.check(now)  # type: ignore[union-attr]
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again after a clean stop, and the exit status would not be 0.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


class _Operator(logging.Handler):
    """The server library's messages, a line each and never a traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        operator.warning(record.getMessage().strip())


def _settings(app: ASGIApp, drain: float, tls: Tls | None = None) -> uvicorn.Config:
    logger = logging.getLogger("uvicorn.error")
    logger.handlers, logger.propagate = [_Operator(logging.WARNING)], False
    logger.setLevel(logging.WARNING)
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEPALIVE,
        timeout_graceful_shutdown=max(1, round(drain)),
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )


def bind(key: str, address: Address) -> socket.socket:
    """A listening socket.

    Raises:
        ServeError: it cannot be had; `key` says which address of the configuration that was.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
        bound.listen(BACKLOG)
    except OSError as error:
        raise ServeError(f"{key}: {address}: {error.strerror}") from None
    return bound


def _address(bound: socket.socket) -> Address:
    return Address(*bound.getsockname()[:2])
