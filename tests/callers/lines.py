"""Lines of caller logs, for the tests of what writes and of what reads them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
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


def nightly(since: int, until: int, caller: str = "nightly", **fields: Any) -> list[Record]:
    """A call a day, from so many days before `NOW` to so many."""
    fields = {"user_agent": f"{caller}/1"} | fields
    return [call(NOW - days * DAY, caller, **fields) for days in range(since, until - 1, -1)]


def line(record: Record) -> bytes:
    return msgspec.json.encode(record) + b"\n"


def log(*records: Record) -> bytes:
    return b"".join(map(line, records))


def written(path: Path) -> list[dict[str, Any]]:
    """What a log holds, if every line of it is whole."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    return [json.loads(found) for found in content.removesuffix(b"\n").split(b"\n")]


def request_ids(path: Path) -> list[str]:
    return [event["request_id"] for event in written(path)]


def rescued(printed: str) -> list[str]:
    """The calls whose records went to standard error, each on a line of its own."""
    others = (
        "trigger-shim: listening ",
        "trigger-shim: warning: caller log stalled",  # on a busy machine
        "trigger-shim: caller log recovered",
        "trigger-shim: caller log written again",
    )
    lines = [line for line in printed.splitlines() if not line.startswith(others)]
    assert all(line.startswith("trigger-shim: error: record not written reason=") for line in lines)
    return ids([json.loads(line.partition(" record=")[2]) for line in lines])


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["request_id"] for event in events if event["event"] == "deprecated_call"]
