"""The whole application: both listeners, and what lives as long as they do."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

from proxy.callers.log.fingerprint_key import fingerprint_key, key_id
from proxy.callers.record import SCHEMA, Heartbeat
from proxy.config import Config
from proxy.gateway.admin.hosts import own_names
from proxy.gateway.admin.pages import Admin
from proxy.gateway.admin.report import LiveReport
from proxy.gateway.call.any_server import AnyServer
from proxy.gateway.call.gateway import Gateway, longest_call
from proxy.gateway.call.policy import ActivePolicy, Clock
from proxy.gateway.call.records import Records
from proxy.gateway.call.retries import derived_key
from proxy.gateway.call.shared_tries import SharedTries
from proxy.gateway.call.tries_link import Connect
from proxy.gateway.head import EXTENSION
from proxy.gateway.metrics import Metrics
from proxy.gateway.upstream.upstream import Upstream


class App:
    """An ASGI application. Calls of the admin port get the admin pages, all others go to the gateway.

    Args:
        config: the whole configuration.
        admin_port: port of the admin listener; None if there is none.
        transport: replaces the network in tests.
        now: the time, UTC.
        metrics: given if several workers share their metrics.
        ledger: makes a connection to the ledger, which opens when it is needed; None if there is no ledger.

    Raises:
        OSError: the caller log or the fingerprint key cannot be opened.
    """

    def __init__(
        self,
        config: Config,
        admin_port: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Clock = lambda: datetime.now(UTC),
        metrics: Metrics | None = None,
        *,
        ledger: Connect | None = None,
    ) -> None:
        self._config = config
        self._interval = config.callers.heartbeat
        self._admin_port = admin_port
        self._now = now
        self._upstream = Upstream(config.upstream, transport)
        self._metrics = metrics or Metrics(config)
        self._records = Records(config, self._metrics)
        self._admin = Admin(self._lifespan, self._metrics, LiveReport(config), own_names(config))
        key = fingerprint_key(config.callers.fingerprint_key, config.callers.log)
        self._key_id = key_id(key)
        self._policy = ActivePolicy(config, key, now)
        window = config.limits.retry_window
        self._shared_tries = SharedTries(
            ledger if window else None, self._metrics, window=window, longest=2 * longest_call(config)
        )
        self._gateway = Gateway(
            config,
            self._policy,
            self._upstream,
            self._records,
            self._metrics,
            shared=self._shared_tries,
            retry_key=derived_key(key),
        )
        self._any_server = AnyServer(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a call to the listener that it came in on."""
        if scope["type"] != "http":
            await self._admin(scope, receive, send)
        elif (head := (scope.get("extensions") or {}).get(EXTENSION)) is None:
            await self._any_server(scope, receive, send)  # which calls this again, with a head
        elif self._is_admin(scope):
            await self._admin(scope, receive, send)
        elif head.path.startswith(b"/-/"):
            await self._admin.probes(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)

    def _is_admin(self, scope: Scope) -> bool:
        server = scope.get("server")  # on a Unix socket, it has no port
        return self._admin_port is not None and server is not None and server[1] == self._admin_port

    async def adopt(self, config: Config) -> None:
        """Apply the policy and the known callers of a configuration to all later calls.

        Args:
            config: the whole configuration; nothing else in it may have changed.

        Raises:
            Exception: something is wrong with it; then nothing has changed.
        """
        report = LiveReport(config)
        snapshot = await self._policy.prepare(config)
        self._metrics.configure(config)
        self._policy.activate(snapshot)
        self._admin.report = report

    def stopping(self) -> None:
        """Report that the proxy is not ready any more. Calls are still served."""
        self._admin.ready = False

    def close(self) -> None:
        """Close the caller log."""
        self._records.close()

    @contextlib.asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[Mapping[str, Any]]:
        async with self._upstream:
            self._records.open()
            self._beat("start")
            beating = asyncio.create_task(self._keep_beating())
            await self.adopt(self._config)
            self._shared_tries.start()
            yield {"connected": self._connected}
            await self._shared_tries.stop()
            self._policy.close()
            beating.cancel()
            self._beat("stop")
        self.close()

    def _connected(self, port: int, change: int) -> None:
        """Called by the proxy's own server for each connection that begins (1) or ends (-1)."""
        if port != self._admin_port:
            self._metrics.connected(change)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            self._beat("interval")

    def _beat(self, at: Any) -> None:
        instance = f"{socket.gethostname()}:{os.getpid()}"
        self._records.append(Heartbeat(SCHEMA, self._now(), at, self._interval, instance, self._key_id))
