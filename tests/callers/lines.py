"""Lines of caller logs, for the tests of what reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from proxy.callers.record import SCHEMA, CallRecord, Heartbeat, Record

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY = timedelta(days=1)


def call(at: datetime = NOW - DAY, caller: str = "nightly", **fields: Any) -> CallRecord:
    known: dict[str, Any] = {
        "schema": SCHEMA,
        "ts": at,
        "request_id": "r-1",
        "endpoint": "trigger",
        "method": "POST",
        "path": "/acme/shop/ci_workflows/build/trigger",
        "org": "acme",
        "repo": "shop",
        "workflow": "build",
        "caller": caller,
        "caller_source": "known",
        "phase": "deprecated",
        "outcome": "forwarded",
        "status": 200,
    }
    return CallRecord(**known | fields)


def beats(since: datetime, until: datetime = NOW, instance: str = "host:1") -> list[Heartbeat]:
    """A heartbeat a day."""
    days = range((until - since).days + 1)
    return [
        Heartbeat(SCHEMA, since + day * DAY, "interval" if day else "start", DAY.total_seconds(), instance)
        for day in days
    ]


def line(record: Record) -> bytes:
    return msgspec.json.encode(record) + b"\n"


def log(*records: Record) -> bytes:
    return b"".join(map(line, records))
