"""Serves with as many processes as the configuration asks for: one serves in this process, more are workers."""

import asyncio
import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator

from proxy import __version__
from proxy.callers.ledger.shared_key import find_key
from proxy.callers.log.files import STDOUT
from proxy.config import Config
from proxy.config.values import without_password
from proxy.gateway.app import App
from proxy.gateway.metrics import Metrics
from proxy.gateway.processes import service_manager
from proxy.gateway.processes.reload import Adopt, Reload
from proxy.gateway.processes.start import ConfiguredServer, application, forbid_core_dumps, freeze_startup_objects
from proxy.gateway.processes.supervisor import Supervisor
from proxy.gateway.server import descriptors
from proxy.gateway.server.listeners import Listeners, ServeError, address, listen
from proxy.output import diagnostics
from proxy.output.diagnostics import log
from proxy.signals import Stop


def serve(load: Callable[[], Config], stop: Stop, *, reuse_port: bool = False, file: str | None = None) -> None:
    """Serve until a signal stops it: the first one waits for the calls under way, the second does not.

    Args:
        load: reads the whole configuration, now and on every SIGHUP.
        stop: receives the signals that stop it, and has blocked SIGHUP, too.
        file: path of the configuration file, if there is one.
        reuse_port: whether another process may serve on the same ports, which this one replaces.

    Raises:
        ConfigError: the configuration cannot be used.
        ServeError: a port, the caller log or the certificate cannot be opened, or workers do not start or end.
    """
    forbid_core_dumps()
    descriptors.raise_limit()
    read = load()
    diagnostics.configure(read.log.format)
    config = _with_shared_key(read)
    listeners = listen(config, reuse_port=reuse_port)
    try:
        _serve(load, stop, read, config, listeners, file=file)
    finally:
        listeners.remove_files()


def _serve(
    load: Callable[[], Config], stop: Stop, read: Config, config: Config, listeners: Listeners, *, file: str | None
) -> None:
    metrics = Metrics(config)
    app = application(config, listeners, metrics)
    single = _SingleProcess(
        app, config, lambda adopt: Reload(load, read, config, adopt, metrics.reloads, file=file), stop
    )
    _announce(config, listeners, file)
    _name_ignored(os.environ)
    descriptors.check_limit(config)
    if config.workers == 1:
        freeze_startup_objects()
        single.run(listeners.sockets)
        return
    app.close()  # it was only made to report problems in one line, before a worker meets them
    try:
        asyncio.run(Supervisor(config, listeners).run(load, read, stop, file))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise ServeError(f"workers: {where}{error.strerror or type(error).__name__}") from None


def _with_shared_key(config: Config) -> Config:
    """Add a random fingerprint key where otherwise each worker would make its own."""
    if config.workers == 1 or config.callers.log != STDOUT or config.callers.fingerprint_key is not None:
        return config
    key = find_key(None, STDOUT, config.ledger).decode()
    return dataclasses.replace(config, callers=dataclasses.replace(config.callers, fingerprint_key=key))


def _announce(config: Config, listeners: Listeners, file: str | None) -> None:
    scheme = "https" if config.tls else "http"
    log.info(
        "listening",
        url=f"{scheme}://{address(listeners.public)}",
        admin=listeners.admin and f"{scheme}://{address(listeners.admin)}",
        upstream=config.upstream.url,
        caller_log=config.callers.log,
        ledger=config.ledger and without_password(config.ledger),
        config=file,
        version=__version__,
    )


def _name_ignored(variables: Iterable[str]) -> None:
    """Log which environment variables name an egress proxy: other programs would use it."""
    found = sorted(name for name in variables if name.upper() in {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})
    if found:
        log.warning("environment_ignored", variables=found, message="only upstream.proxy names an egress proxy")


class _SingleProcess(ConfiguredServer):
    """The server of a proxy without workers."""

    def __init__(self, app: App, config: Config, reload: Callable[[Adopt], Reload], stop: Stop) -> None:
        super().__init__(app, config, ready=self._serving, stopping=self._stopping_serving)
        self._app = app
        self._reload = reload(self.adopt)
        self._stop_signals = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        self._stop_signals.set_handler(functools.partial(asyncio.get_running_loop().call_soon_threadsafe, self.stop))
        yield

    def _serving(self) -> None:
        self._reload.start()
        service_manager.ready()
        service_manager.stay_alive()

    def _stopping_serving(self) -> None:
        self._app.stopping()
        service_manager.stopping()

    def drain(self) -> None:
        """Stop once the calls under way have ended."""
        self._reload.stop()
        super().drain()
