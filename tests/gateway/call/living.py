"""A proxy through the phases of the withdrawal, with a clock that the test sets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from proxy import config
from proxy.callers.identity import Caller
from proxy.config import Config
from proxy.gateway.call.policy import ActivePolicy
from tests.support.proxy import TRIGGER, Proxy, proxy_for
from tests.support.upstream import Upstream
from tests.support.wire import Answer

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)

TICK = timedelta(microseconds=1)

KNOWN = [
    {"name": "nightly", "owner": "team-a", "agent": "nightly/*"},
    {"name": "moved", "agent": "moved/*", "migrated": "2026-12-01T12:00:00Z"},
    {"name": "late", "agent": "late/*", "extension": "2027-06-01"},
    {"name": "welcome", "agent": "welcome/*", "exempt_from_freeze": True},
]

RUNS = "/acme/shop/cicd/runs"


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def living(upstream: Upstream, folder: Path, clock: Clock, **lifecycle: Any) -> Iterator[Proxy]:
    sections = {"callers": {"known": KNOWN}, "lifecycle": {"deprecated": "2026-01-01", **lifecycle}}
    with proxy_for(upstream.url, folder, clock, ledger=str(folder / "callers.db"), **sections) as proxy:
        yield proxy


def called(proxy: Proxy, agent: str, path: str = TRIGGER, method: str = "POST") -> Answer:
    return proxy.call(path, b"{}" if method == "POST" else None, {"User-Agent": f"{agent}/1"}, method)


def last(proxy: Proxy) -> dict[str, Any]:
    record = proxy.records()[-1]
    return {key: record.get(key) for key in ("caller", "phase", "outcome", "status", "error_code", "upstream_status")}


def settings(log: Path, freeze: datetime | None, ledger: str | None = None) -> Config:
    lifecycle = {"freeze": freeze.isoformat()} if freeze is not None else {}
    return config.load(os.devnull, {}, {"callers": {"log": str(log)}, "ledger": ledger, "lifecycle": lifecycle})


def refuses_new_ones(active: ActivePolicy, now: datetime) -> bool:
    snapshot = active.snapshot
    subject = snapshot.subject(Caller("new", "token", None, "new", None, None, None))
    return snapshot.decide(subject, now).refusal is not None
