"""What every process that serves does at its start, and the server that it runs."""

import asyncio
import contextlib
import gc
import resource
from collections.abc import Callable

from proxy.callers.trusted_proxies import TrustedProxies
from proxy.config import Config, ConfigError
from proxy.gateway.app import App
from proxy.gateway.certificates import end_of
from proxy.gateway.metrics import Metrics
from proxy.gateway.pem import UnusableFile
from proxy.gateway.server import descriptors
from proxy.gateway.server.acceptor import BATCH
from proxy.gateway.server.certificate import server_context
from proxy.gateway.server.listeners import Listeners, ServeError, address
from proxy.gateway.server.server import Server
from proxy.gateway.upstream.dialer import Dialer


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
        self._note_ends(config)

    async def adopt(self, config: Config) -> None:
        """Apply the policy, the known callers, and what the files for TLS and egress have now. See `App.adopt`.

        Raises:
            ConfigError: one of the files cannot be used; then nothing has changed.
        """
        try:
            certificate = server_context(self._files) if self._files is not None else None
            dialer = await asyncio.to_thread(Dialer.configured, config.upstream)
        except (ServeError, UnusableFile) as error:
            raise ConfigError([str(error)]) from None
        await self._app.adopt(config)
        self._app.upstream.use(dialer)
        if certificate is not None:
            self.show(certificate)
        self._note_ends(config)

    def _note_ends(self, config: Config) -> None:
        watched, upstream = self._app.certificates, config.upstream
        if self._files is not None:
            watched.update("listen", end_of(self._files.certificate, self._files.key))
        if upstream.certificate is not None and upstream.key is not None:
            end = end_of(upstream.certificate, upstream.key, of_client=True)
            watched.update("upstream.certificate", end)


def forbid_core_dumps() -> None:
    """Disable core dumps of this process and of those that it starts: their memory holds tokens."""
    with contextlib.suppress(OSError, ValueError):  # a filter of system calls may refuse even this
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def application(config: Config, listeners: Listeners, metrics: Metrics) -> App:
    """Make the application that serves on the sockets.

    Raises:
        ServeError: the caller log, the fingerprint key or a file for connections to the service cannot be used.
    """
    try:
        return App(config, address(listeners.admin).name if listeners.admin is not None else None, metrics=metrics)
    except UnusableFile as error:
        raise ServeError(str(error)) from None
    except OSError as error:
        raise ServeError(f"callers.log: {error.filename or config.callers.log}: {error.strerror}") from None


def freeze_startup_objects() -> None:
    """Exclude the objects that exist by now from garbage collection, which would take milliseconds each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)  # calls leave no cycles behind, so collections find nothing
