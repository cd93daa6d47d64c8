"""Made-up caller logs."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from proxy.callers.record import SCHEMA, CallRecord, Heartbeat, Record
from proxy.callers.report.analysis import Analysis
from tests.callers import lines, reports

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def call(caller: str, ago: timedelta, **fields: Any) -> CallRecord:
    """A call of the trigger, so long before `NOW`."""
    return lines.call(NOW - ago, caller, **fields)


def daily(caller: str, first: int, last: int, **fields: Any) -> list[Record]:
    """A call a day, from so many days before `NOW` to so many."""
    return [call(caller, DAY * ago, **fields) for ago in range(first, last - 1, -1)]


def beats(first: float, last: float = 0) -> list[Record]:
    """A log that was kept from so many days before `NOW` to so many, by a process of its own."""
    times = [NOW - DAY * first + timedelta(hours=hour) for hour in range(int((first - last) * 24) + 1)]
    return [Heartbeat(SCHEMA, time, "interval", 3600, f"proxy:{first}") for time in times]


def analyzed(folder: Path, records: Iterable[Record], **options: Any) -> Analysis:
    """What the log of these records says at `NOW`."""
    return reports.analyzed(folder, *records, now=NOW, **options)
