"""What every process that serves does at its start, and the server that it runs."""

import contextlib
import gc
import resource
from collections.abc import Callable

from proxy.callers.trusted_proxies import TrustedProxies
from proxy.config import Config, ConfigError
from proxy.gateway.app import App
from proxy.gateway.metrics import Metrics
from proxy.gateway.server import descriptors
from proxy.gateway.server.acceptor import BATCH
from proxy.gateway.server.certificate import end_of, server_context
from proxy.gateway.server.listeners import Listeners, ServeError, address
from proxy.gateway.server.server import Server


class ConfiguredServer(Server):
    """A server with the limits and the certificate of a configuration; the other arguments are those of `Server`."""

    def __init__(
        self,
        app: App,
        config: Config,
        *,
        ready: Callable[[], None],
        stopping: Callable[[], None],
        batch: int = BATCH,
    ) -> None:
        super().__init__(
            app,
            config.limits.drain,
            delay=config.limits.drain_delay,
            tls=config.tls,
            ready=ready,
            stopping=stopping,
            max_connections=descriptors.max_connections(config),
            batch=batch,
            behind=TrustedProxies(config.callers.trusted_proxies) if config.callers.proxy_protocol else None,
        )
        self._app, self._files = app, config.tls
        self._note_end()

    async def adopt(self, config: Config) -> None:
        """Apply the policy, the known callers, and the certificate as it is in its files now. See `App.adopt`.

        Raises:
            ConfigError: the certificate cannot be used; then nothing has changed.
        """
        try:
            certificate = server_context(self._files) if self._files is not None else None
        except ServeError as error:
            raise ConfigError([str(error)]) from None
        await self._app.adopt(config)
        if certificate is not None:
            self.show(certificate)
            self._note_end()

    def _note_end(self) -> None:
        if self._files is not None:
            self._app.certificates.update("listen", end_of(self._files))


def forbid_core_dumps() -> None:
    """Disable core dumps of this process and of those that it starts: their memory holds tokens."""
    with contextlib.suppress(OSError, ValueError):  # a filter of system calls may refuse even this
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def application(config: Config, listeners: Listeners, metrics: Metrics) -> App:
    """Make the application that serves on the sockets.

    Raises:
        ServeError: the caller log or the fingerprint key cannot be opened.
    """
    try:
        return App(config, address(listeners.admin).name if listeners.admin is not None else None, metrics=metrics)
    except OSError as error:
        raise ServeError(f"callers.log: {error.filename or config.callers.log}: {error.strerror}") from None


def freeze_startup_objects() -> None:
    """Exclude the objects that exist by now from garbage collection, which would take milliseconds each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)  # calls leave no cycles behind, so collections find nothing
