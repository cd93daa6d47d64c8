"""How many callers and calls there were on each day.

Pure.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from proxy.callers.report.coverage import Span
from proxy.callers.report.differences import CALLING
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rows import Row
from proxy.withdrawn.lifecycle import Kind

_DAY = timedelta(days=1)


class BurnDownDay(NamedTuple):
    """One day of the period of a report.

    Attributes:
        day: its first moment.
        calls: number of calls.
        callers: number of callers, each from its first call on; until its last one, if it is retired.
        calling: the same, but until its last one if it is `quiet`, too.
        coverage: share of the day that the log covers, from 0 to 1; what is outside of the period does not count.
        marks: what the policy changed on it.
    """

    day: datetime
    calls: int
    callers: int
    calling: int
    coverage: float
    marks: list[Kind]


def burn_down(report: CallerReport) -> list[BurnDownDay]:
    """The days of the period of a report, with the callers that have a say in the verdict."""
    days = report.days
    calls, callers = _calls(report.callers, days), _callers(report.callers, days, (*CALLING, "quiet"))
    calling = _callers(report.callers, days, CALLING)
    return [
        BurnDownDay(day, calls[index], callers[index], calling[index], _coverage(report, day), _marks(report, day))
        for index, day in enumerate(days)
    ]


def _calls(rows: Sequence[Row], days: Sequence[datetime]) -> list[int]:
    first, last, calls = days[0].toordinal(), len(days) - 1, [0] * len(days)
    for row in rows:
        for day, number in row.hours.by_day():
            calls[min(max(day - first, 0), last)] += number
    return calls


def _callers(rows: Sequence[Row], days: Sequence[datetime], states: Sequence[str]) -> list[int]:
    """The callers on each day; those in these states are there until the end."""
    first, changes = days[0].toordinal(), [0] * (len(days) + 1)
    for row in rows:
        begin = max(row.first_seen.toordinal() - first, 0)
        end = len(days) if row.state in states else min(row.last_seen.toordinal() - first + 1, len(days))
        if begin < end:
            changes[begin] += 1
            changes[end] -= 1
    return list(accumulate(changes))[:-1]


def _coverage(report: CallerReport, day: datetime) -> float:
    period = report.coverage.period
    part = Span(max(day, period.begin), min(day + _DAY, period.end))
    seconds = part.length.total_seconds()
    return round(report.coverage.covered_seconds(part) / seconds, 6) if seconds > 0 else 0.0


def _marks(report: CallerReport, day: datetime) -> list[Kind]:
    end = day + _DAY
    kinds = [
        change.kind
        for change in report.marks
        if day <= change.at < end or (change.until is not None and change.at < end and day < change.until)
    ]
    return list(dict.fromkeys(kinds))
