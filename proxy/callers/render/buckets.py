"""What the burn-down chart shows: how many callers are left, and their calls, by day or by week.

Pure.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from operator import add
from typing import NamedTuple

from proxy.callers.report.coverage import Coverage, Span
from proxy.callers.report.report import CallerReport
from proxy.output.formatting import day

MAX_BUCKETS = 120
"""Maximum number of bars. Up to this many days have one each; with more days, a bar stands for weeks."""

_DAY = timedelta(days=1)


class Bucket(NamedTuple):
    """Consecutive days that share a bar.

    Attributes:
        calls: number of calls.
        callers: number of callers. A retired caller counts from its first call to its last one, any other to the end.
        coverage: share of the days that the log covers, from 0 to 1; days outside the period do not count.
    """

    span: Span
    calls: int
    callers: int
    coverage: float

    @property
    def name(self) -> str:
        """The day, or the first and the last day."""
        last = self.span.end - _DAY
        return day(last) if self.span.begin == last else f"{day(self.span.begin)} to {day(last)}"


def buckets(report: CallerReport) -> list[Bucket]:
    """The period of a report in buckets. Only the first may be shorter: a short last one would look like a drop."""
    days, size = report.days, bucket_days(len(report.days))
    totals = [0] * len(days)
    for row in report.callers:
        totals = list(map(add, totals, row.by_day))
    ends = range(len(days) - (len(days) - 1) // size * size, len(days) + 1, size)
    spans = [Span(days[max(end - size, 0)], days[end - 1] + _DAY) for end in ends]
    calls, callers = bucket_sums(totals, size), _callers(report, len(days), size)
    coverage = [_coverage(span, report.coverage) for span in spans]
    return [Bucket(*values) for values in zip(spans, calls, callers, coverage, strict=True)]


def bucket_days(days: int) -> int:
    """The number of days in a bucket: one, or as few whole weeks as keep the number of buckets to `MAX_BUCKETS`."""
    return 1 if days <= MAX_BUCKETS else 7 * -(-days // (7 * MAX_BUCKETS))


def bucket_sums(values: Sequence[int], size: int) -> list[int]:
    """Sums of `size` values each, where the first sum may have fewer."""
    padded = [0] * (-len(values) % size) + list(values)
    return [sum(padded[start : start + size]) for start in range(0, len(padded), size)]


def _callers(report: CallerReport, days: int, size: int) -> list[int]:
    begin, padding = report.coverage.period.begin.toordinal(), -days % size
    changes = [0] * (-(-days // size) + 1)

    def bucket_at(moment: datetime) -> int:
        return (min(max(moment.toordinal() - begin, 0), days - 1) + padding) // size

    begin_of_period = report.coverage.period.begin
    for row in (row for row in report.callers if row.state != "retired" or row.last_seen >= begin_of_period):
        changes[bucket_at(row.first_seen)] += 1
        changes[bucket_at(row.last_seen) + 1 if row.state == "retired" else -1] -= 1
    return list(accumulate(changes))[:-1]


def _coverage(span: Span, coverage: Coverage) -> float:
    part = Span(max(span.begin, coverage.period.begin), min(span.end, coverage.period.end))
    length = part.length.total_seconds()
    return coverage.covered_seconds(part) / length if length > 0 else 0.0
