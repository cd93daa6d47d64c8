"""Projects when nobody calls any more, if callers go on leaving as they did.

Pure. A caller that stopped within the last month is not known to be gone, so the pace is that of the weeks before.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.callers.report.coverage import Span
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rhythm import RETIRED_AFTER

LONGEST, SHORTEST = timedelta(weeks=8), timedelta(weeks=4)
"""The pace is that of this time, if the log goes back so far; with less than the shortest, there is no projection."""

OBSERVED_SHARE = 0.9
"""The share of that time that the log must cover."""

FEWEST = 3
"""So many callers must have left in it: fewer may be chance."""

_FARTHEST = timedelta(days=3660)


class Projection(NamedTuple):
    """A straight line from the callers that are left now to none.

    Attributes:
        measured: when the pace was measured.
        per_week: how many callers left each week, less those that came.
        none_at: when none is left.
    """

    measured: Span
    per_week: float
    none_at: datetime


def project(report: CallerReport) -> Projection | None:
    """The projection; None if the log is too short, or the number of callers does not fall."""
    end = report.now - timedelta(seconds=RETIRED_AFTER)
    measured = Span(max(end - LONGEST, report.whole.period.begin), end)
    if not _is_observed(report, measured):
        return None
    gone = _gone(report, measured)
    fewer = gone - _new(report, measured)
    left = len(report.callers) - report.retired
    if gone < FEWEST or fewer <= 0 or not left:
        return None
    none_in = measured.length / fewer * left
    if none_in > _FARTHEST:
        return None
    return Projection(measured, fewer * timedelta(weeks=1) / measured.length, report.now + none_in)


def _is_observed(report: CallerReport, measured: Span) -> bool:
    if measured.length < SHORTEST or report.coverage.period.end != report.now:
        return False
    return report.whole.covered_seconds(measured) >= OBSERVED_SHARE * measured.length.total_seconds()


def _gone(report: CallerReport, measured: Span) -> int:
    return sum(row.state == "retired" and measured.begin <= row.last_seen <= measured.end for row in report.callers)


def _new(report: CallerReport, measured: Span) -> int:
    """The callers that came. In its first weeks, a log sees callers for the first time that are not new."""
    begin = max(measured.begin, report.whole.period.begin + timedelta(seconds=RETIRED_AFTER))
    return sum(begin <= row.first_seen <= measured.end and row.predecessor is None for row in report.callers)
