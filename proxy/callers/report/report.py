"""Who still calls, and whether the withdrawn API can be removed.

Pure: the time is an argument.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from proxy.callers.record import EARLIEST, Heartbeat
from proxy.callers.report.aggregator import Dimension
from proxy.callers.report.coverage import Coverage, Span, measure_coverage
from proxy.callers.report.policy_effect import PolicyEffect
from proxy.callers.report.rows import Row, caller_rows, days_of, group_rows
from proxy.callers.report.tally import Tally
from proxy.output.formatting import date, day, duration, minute, shortened

Verdict = Literal["safe", "not_yet", "cannot_tell"]
Gate = Literal["nobody", "somebody", "unknown"]

OBSERVATION = timedelta(days=31)
"""The log must cover this time before its silence means that nobody calls: a job may run once a month."""

OBSERVED_SHARE = 0.99
"""The share of a time that the log must cover. The rest can be restarts."""


class CallerReport(NamedTuple):
    """Who still calls.

    Attributes:
        now: the time of the report.
        by: what the rows are grouped by.
        callers: a row per caller.
        strangers: a row per network that strangers call from. They have no say in the verdict.
        rows: a row per group; if grouped by caller, the callers and the strangers.
        verdict: whether the withdrawn API can be removed.
        reasons: the reasons for the verdict, a sentence each.
    """

    now: datetime
    by: Dimension
    coverage: Coverage
    callers: list[Row]
    strangers: list[Row]
    rows: list[Row]
    verdict: Verdict
    reasons: list[str]

    @property
    def retired(self) -> int:
        """The number of retired callers."""
        return sum(row.state == "retired" for row in self.callers)

    @property
    def stranger_calls(self) -> int:
        """The number of calls of strangers."""
        return sum(row.calls for row in self.strangers)

    @property
    def last(self) -> Row | None:
        """The caller that blocks removal longest if nobody calls again; None if no caller does."""
        blocking = [(row.unblocked_at, row) for row in self.callers if row.unblocked_at is not None]
        return max(blocking, key=lambda pair: pair[0])[1] if blocking else None

    @property
    def safe_at(self) -> datetime | None:
        """When the last caller stops blocking removal, if nobody calls again; None if no caller blocks it."""
        return self.last.unblocked_at if self.last is not None else None

    @property
    def is_planned(self) -> bool:
        """Whether any caller is refused, or will be affected by a change."""
        return any(row.effect.refusal is not None or row.effect.next_change is not None for row in self.callers)

    @property
    def days(self) -> list[datetime]:
        """The first moment of each day of the period."""
        return days_of(self.coverage.period)


def make_report(
    tallies: Mapping[tuple[str, str], Tally],
    heartbeats: Sequence[Heartbeat],
    effects: Mapping[str, PolicyEffect],
    now: datetime,
    *,
    by: Dimension = "caller",
    since: datetime | None = None,
) -> CallerReport:
    """Make a report.

    Args:
        tallies: calls by group and caller.
        heartbeats: all heartbeats in the logs.
        effects: what the policy means for each caller, by name.
        now: end of the period.
        by: what the calls are grouped by.
        since: begin of the period; None for the begin of the logs.
    """
    first = min([*(beat.ts for beat in heartbeats), *(tally.first_seen for tally in tallies.values()), now])
    coverage = measure_coverage(heartbeats, Span(max(since or first, EARLIEST), now))
    everybody = caller_rows(tallies.values(), coverage, effects)
    callers = [row for row in everybody if not row.is_stranger]
    rows = everybody if by == "caller" else group_rows(tallies, coverage, effects)
    strangers = everybody[len(callers) :]
    verdict = _verdict(callers, coverage, has_strangers=bool(strangers))
    return CallerReport(now, by, coverage, callers, strangers, rows, *verdict)


def still_calling(report: CallerReport, window: timedelta) -> Gate:
    """Whether anybody who is not refused has called within the window before now.

    Unknown if nobody has, but the log does not cover the window.
    """
    since = report.now - window
    if any(row.last_seen >= since and not row.is_refused for row in report.callers):
        return "somebody"
    return "nobody" if _is_covered(report.coverage, window) else "unknown"


# --- the verdict


def _verdict(callers: list[Row], coverage: Coverage, *, has_strangers: bool) -> tuple[Verdict, list[str]]:
    blocking = [row for row in callers if row.state != "retired" and not row.is_refused]
    refused = [_refused(row) for row in callers if row.state != "retired" and row.is_refused]
    if certain := [row for row in blocking if not row.in_doubt]:
        return "not_yet", [_still_calls(row) for row in certain] + refused
    if blocking or not _is_covered(coverage, OBSERVATION):
        doubts = [f"{shortened(row.name)} may have called in a gap of the log" for row in blocking]
        return "cannot_tell", _missing(coverage) + doubts + refused
    nobody = "nobody but strangers has called" if has_strangers else "nobody has called"
    everybody = f"every caller is retired{' or refused' if refused else ''}" if callers else nobody
    return "safe", [f"{everybody}; the log covers {duration(coverage.covered_seconds(coverage.period))}", *refused]


def _still_calls(row: Row) -> str:
    failing = ", and all its calls fail" if row.error_share == 1 else ""
    retired = f"; retired on {day(row.retired_at)} if it never calls again" if row.retired_at is not None else ""
    return f"{_who(row)} is {row.state}: last call {minute(row.last_seen)}{failing}{_refused_from(row)}{retired}"


def _refused(row: Row) -> str:
    since = f" since {date(row.effect.refused_from)}" if row.effect.refused_from is not None else ""
    return f"{_who(row)} is refused{since} ({row.effect.permanent_refusal}): last call {minute(row.last_seen)}"


def _refused_from(row: Row) -> str:
    if row.effect.refused_from is None:
        return ""
    if row.accepted_while_refused:
        return f"; it was accepted, although this policy refuses it since {date(row.effect.refused_from)}"
    return f"; refused from {date(row.effect.refused_from)}"


def _who(row: Row) -> str:
    return shortened(row.name) + (f" of {shortened(row.owner)}" if row.owner is not None else "")


def _missing(coverage: Coverage) -> list[str]:
    reasons = [
        f"the log has a gap from {minute(gap.begin)} to {minute(gap.end)} ({duration(gap.length.total_seconds())})"
        for gap in coverage.gaps
    ]
    if coverage.period.length < OBSERVATION:
        length = duration(coverage.period.length.total_seconds())
        reasons.append(f"the log goes back {length}; it takes {OBSERVATION.days} days to see a monthly job")
    return reasons


def _is_covered(coverage: Coverage, window: timedelta) -> bool:
    end = coverage.period.end
    return coverage.covered_seconds(Span(end - window, end)) >= OBSERVED_SHARE * window.total_seconds()
