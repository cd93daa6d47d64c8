"""The whole application: both listeners, and what lives as long as they do."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from starlette.types import Receive, Scope, Send

from proxy.callers.ledger import engines
from proxy.callers.ledger.current_calls import CurrentCalls
from proxy.callers.ledger.feeder import FileFeeder
from proxy.callers.ledger.forget import DailyForgetting
from proxy.callers.ledger.keeper import Keeper
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.lines import LineFeeder
from proxy.callers.ledger.shared_key import find_key
from proxy.callers.log.files import STDOUT, is_stream
from proxy.callers.log.fingerprint_key import key_id
from proxy.callers.policy_digest import policy_digest
from proxy.config import Config
from proxy.gateway.admin.hosts import own_names
from proxy.gateway.admin.pages import Admin
from proxy.gateway.admin.report import LiveReport
from proxy.gateway.buffered import Budget
from proxy.gateway.call.any_server import AnyServer
from proxy.gateway.call.gateway import Gateway, longest_call
from proxy.gateway.call.policy import ActivePolicy, Clock
from proxy.gateway.call.records import Records
from proxy.gateway.call.retries import derived_key
from proxy.gateway.call.shared_tries import SharedTries
from proxy.gateway.call.tries_link import Connect
from proxy.gateway.certificates import Certificates
from proxy.gateway.head import EXTENSION
from proxy.gateway.metrics import Metrics
from proxy.gateway.reached_limits import ReachedLimits
from proxy.gateway.upstream.upstream import Upstream


class App:
    """An ASGI application. Calls of the admin port get the admin pages, all others go to the gateway.

    Args:
        config: the whole configuration.
        admin: port of the admin listener, or path of its Unix socket; None if there is none.
        transport: replaces the network in tests.
        now: the time, UTC.
        metrics: given if several workers share their metrics.
        ledger: makes a connection to the ledger, which opens when it is needed; None if there is no ledger.

    Attributes:
        certificates: watches when they end.
        upstream: the service.

    Raises:
        OSError: the caller log or the fingerprint key cannot be opened.
        UnusableFile: a file for connections to the service cannot be used.
        LedgerUnavailable: the library for the ledger's database is not installed.
    """

    def __init__(
        self,
        config: Config,
        admin: int | str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Clock = lambda: datetime.now(UTC),
        metrics: Metrics | None = None,
        *,
        ledger: Connect | None = None,
    ) -> None:
        self._config = config
        self._interval = config.callers.heartbeat
        self._admin_listener = admin
        self._now = now
        self.upstream = Upstream(config.upstream, transport)
        self._budget = Budget(max(config.limits.buffered, config.limits.body))
        self._metrics = metrics or Metrics(config)
        self._limits = ReachedLimits(self._metrics.refused)
        self.certificates = Certificates(now, self._metrics.certificate_ends)
        self._current_calls: CurrentCalls | None = None
        self._keeper, keep = _keeper(config, self._metrics, now, self._flush)
        self._records = Records(config, self._metrics, keep)
        self._admin = Admin(self._lifespan, self._metrics, LiveReport(config), own_names(config), looks=self._looks)
        key = find_key(config.callers.fingerprint_key, config.callers.log, config.ledger)
        if config.ledger is not None:
            self._current_calls = CurrentCalls(key, Ledger(engines.connect(config.ledger)), now)
        self._key_id = key_id(key)
        self._digest = _digest(config)
        self._policy = ActivePolicy(config, key, now)
        window = config.limits.retry_window
        connect = (ledger or _connect(config)) if window else None
        self._shared_tries = SharedTries(connect, self._metrics, window=window, longest=2 * longest_call(config))
        self._gateway = Gateway(
            config,
            self._policy,
            self.upstream,
            self._records,
            self._metrics,
            refused=self._limits.refused,
            shared=self._shared_tries,
            retry_key=derived_key(key),
            current_calls=self._current_calls,
        )
        self._any_server = AnyServer(self, self._budget)

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
        if self._admin_listener is None or (server := scope.get("server")) is None:
            return False
        host, port = server
        listener: int | str = host if port is None else port  # a Unix socket has its path and None
        return listener == self._admin_listener

    async def adopt(self, config: Config) -> None:
        """Apply the policy and the known callers of a configuration to all later calls.

        Args:
            config: the whole configuration; nothing else in it may have changed.

        Raises:
            Exception: something is wrong with it; then nothing has changed.
        """
        report, digest = LiveReport(config), _digest(config)
        snapshot = await self._policy.prepare(config)
        self._metrics.configure(config)
        self._policy.activate(snapshot)
        self._admin.report = report
        if digest != self._digest:
            self._digest = digest
            self._beat("interval")

    def _looks(self) -> Mapping[str, str]:
        """What ``/readyz?verbose`` says besides."""
        reason, keeper = self.upstream.reachability.reason, self._keeper
        ledger = "none" if self._config.ledger is None else "not kept" if keeper is None else keeper.state.value
        return {
            "service": "reached, or not called yet" if reason is None else f"unreachable: {reason}",
            "ledger": ledger,
            "lost tries": "shared" if self._shared_tries.works else "not shared",
            "caller log": f"{self._records.lost} records lost since the start",
        }

    def stopping(self) -> None:
        """Report that the proxy is not ready any more. Calls are still served."""
        self._admin.ready = False

    def close(self) -> None:
        """Close the caller log."""
        self._records.close()

    @contextlib.asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[Mapping[str, Any]]:
        async with self.upstream:
            self._records.open()
            self._beat("start")
            if self._keeper is not None:
                self._keeper.start()
            beating = asyncio.create_task(self._keep_beating())
            await self.adopt(self._config)
            self._shared_tries.start()
            yield {
                "connected": self._connected,
                "budget": self._budget,
                "refused": self._limits.refused,
                "sample": self._sample,
            }
            await self._shared_tries.stop()
            self._policy.close()
            beating.cancel()
            self._beat("stop")
            if self._keeper is not None:
                await asyncio.to_thread(self._keeper.close)
        self.close()

    def _connected(self, listener: int | str, change: int) -> None:
        """Called by the proxy's own server for each connection that begins (1) or ends (-1)."""
        if listener != self._admin_listener:
            self._metrics.connected(change)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            self._beat("interval")

    def _sample(self) -> None:
        self._metrics.sampled(self.upstream.in_use, self._budget.total)
        self.certificates.update("upstream", self.upstream.certificate_end)
        self.certificates.check()
        self.upstream.reachability.update()
        self._limits.update()

    def _flush(self, at_end: bool) -> None:
        if self._current_calls is not None:
            self._current_calls.flush(at_end=at_end)

    def _beat(self, at: Literal["start", "interval", "stop"]) -> None:
        self._records.beat(self._now(), at, self._key_id, self._digest)


def _connect(config: Config) -> Connect | None:
    """What connects to the ledger, if there is one."""
    address = config.ledger
    return (lambda: engines.connect(address)) if address is not None else None


def _keeper(
    config: Config, metrics: Metrics, now: Clock, flush: Callable[[bool], None]
) -> tuple[Keeper | None, Callable[[bytes], None] | None]:
    """What keeps the ledger, and what is called with each line of the log."""
    if config.ledger is None:
        return None, None
    ledger, passed = Ledger(engines.connect(config.ledger)), metrics.ledger_passed
    maintain = DailyForgetting(engines.connect(config.ledger), config.ledger_privacy, now)
    if config.callers.log != STDOUT and not is_stream(config.callers.log):
        keeper = Keeper(ledger, FileFeeder(config.callers.log, ledger, now), passed, maintain, flush)
        return keeper, lambda _: keeper.wake()
    lines = LineFeeder(uuid.uuid4().hex, ledger, now)
    keeper = Keeper(ledger, lines, passed, maintain, flush)

    def keep(line: bytes) -> None:
        lines.put(line)
        keeper.wake()

    return keeper, keep


def _digest(config: Config) -> str:
    return policy_digest(config.lifecycle, config.callers.known)
