"""Both listeners, and what lives as long as they do."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

from proxy.callers.log.fingerprint_key import fingerprint_key
from proxy.callers.record import SCHEMA, Heartbeat
from proxy.config import Config
from proxy.gateway.admin.pages import Admin
from proxy.gateway.admin.report import LiveReport
from proxy.gateway.call.gateway import Gateway
from proxy.gateway.call.policy import Clock, InForce
from proxy.gateway.call.records import Records
from proxy.gateway.metrics import Metrics
from proxy.gateway.upstream.upstream import Upstream


class App:
    """The application: hands each call to the listener that it came in on.

    Args:
        config: the whole configuration.
        admin_port: the port whose connections are for the admin listener; None where there is none.
        transport: stands in for the network; None is the real one.
        now: the time, in UTC.
        metrics: where several workers share what they count.

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
    ) -> None:
        self._config = config
        self._interval = config.callers.heartbeat
        self._admin_port = admin_port
        self._now = now
        self._upstream = Upstream(config.upstream, transport)
        self._metrics = metrics or Metrics(config)
        self._records = Records(config, self._metrics)
        self._admin = Admin(self._lifespan, self._metrics, LiveReport(config))
        self._in_force = InForce(config, fingerprint_key(config.callers.fingerprint_key, config.callers.log), now)
        self._gateway = Gateway(config, self._in_force, self._upstream, self._records, self._metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a connection's call to the listener that it came in on."""
        if scope["type"] == "lifespan" or scope["server"][1] == self._admin_port:
            await self._admin(scope, receive, send)
        elif scope["raw_path"].startswith(b"/-/"):
            await self._admin.probes(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)

    async def adopt(self, config: Config) -> None:
        """Put the policy and the known callers of a configuration in force, between two calls.

        Args:
            config: the whole configuration, which differs from the one in force in nothing else.

        Raises:
            Exception: whatever is wrong, all is as it was.
        """
        report = LiveReport(config)
        terms = await self._in_force.prepared(config)
        self._metrics.configure(config)
        self._in_force.put(terms)
        self._admin.report = report

    def stopping(self) -> None:
        """Be ready no more, although calls are still taken."""
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
            yield {"connected": self._connected}
            self._in_force.close()
            beating.cancel()
            self._beat("stop")
        self.close()

    def _connected(self, port: int, by: int) -> None:
        """Hear of connections that begin and end."""
        if port != self._admin_port:
            self._metrics.connected(by)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            self._beat("interval")

    def _beat(self, at: Any) -> None:
        instance = f"{socket.gethostname()}:{os.getpid()}"
        self._records.append(Heartbeat(SCHEMA, self._now(), at, self._interval, instance))
