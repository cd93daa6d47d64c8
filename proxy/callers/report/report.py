"""Who still calls, and whether the withdrawn API can be removed.

Pure: the time is an argument.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from proxy.callers.ledger.tables.current_calls import CurrentDay
from proxy.callers.log.lives import Lives
from proxy.callers.log.unreadable import Unreadable
from proxy.callers.record import EARLIEST
from proxy.callers.report.aggregator import Dimension
from proxy.callers.report.coverage import Coverage, Span, measure_coverage
from proxy.callers.report.cuts import Cuts
from proxy.callers.report.differences import Differences, differences
from proxy.callers.report.doubts import Doubt, lost_calls, silent_hosts, unreadable_parts
from proxy.callers.report.enforcement import NOT_SHOWN, Enforcement
from proxy.callers.report.policy_effect import PolicyEffect
from proxy.callers.report.rhythm import APART
from proxy.callers.report.rows import Judge, Row, caller_rows, days_of, group_rows
from proxy.callers.report.tally import FAILING, IGNORED, Tally
from proxy.callers.report.verdict import Verdict, conclude, is_covered, unseen
from proxy.withdrawn.lifecycle import Change, Policy, changes_between

Gate = Literal["nobody", "somebody", "unknown"]


class CallerReport(NamedTuple):
    """Who still calls.

    Attributes:
        now: the time of the report.
        by: what the rows are grouped by.
        whole: what the log covers from its begin until now.
        coverage: what it covers of the period in which calls are counted.
        callers: a row per caller that has a say in the verdict.
        failing: a row per caller of which no call ever worked. They lose nothing by the removal.
        ignored: a row per caller that a rule says to ignore.
        doubts: that somebody may have called without a trace in the log.
        strangers: a row per network that strangers called from in the period. They have no say in the verdict.
        rows: a row per group; if grouped by caller, the callers and those apart. Those that did not call in the period
            are left out if they are retired or apart.
        verdict: whether the withdrawn API can be removed, by the whole log.
        reasons: the reasons for the verdict, a sentence each.
        safe_at: when it can be removed at the earliest, if nobody calls again and the log is kept; None if it can.
        differences: what has changed for callers; None if there is nothing to compare with.
        marks: the changes of the policy from the begin of the log until the sunset or the freeze, for charts.
    """

    now: datetime
    by: Dimension
    whole: Coverage
    coverage: Coverage
    callers: list[Row]
    failing: list[Row]
    ignored: list[Row]
    doubts: list[Doubt]
    strangers: list[Row]
    rows: list[Row]
    verdict: Verdict
    reasons: list[str]
    safe_at: datetime | None
    differences: Differences | None
    marks: Sequence[Change]

    @property
    def all_callers(self) -> list[Row]:
        """Every caller, also those without a say."""
        return [*self.callers, *self.failing, *self.ignored]

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
    def has_silent_hosts(self) -> bool:
        """Whether somebody must say that hosts are gone before it can be safe."""
        return any(doubt.safe_at is None for doubt in self.doubts)

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
    lives: Lives,
    effects: Mapping[str, PolicyEffect],
    now: datetime,
    *,
    by: Dimension = "caller",
    since: datetime | None = None,
    until: datetime | None = None,
    every: Mapping[str, float] | None = None,
    enforcement: Enforcement = NOT_SHOWN,
    gone: Sequence[str] = (),
    unreadable: Unreadable | None = None,
    current: Mapping[str, Sequence[CurrentDay]] | None = None,
    cuts: Cuts | None = None,
    policy: Policy | None = None,
) -> CallerReport:
    """Make a report.

    Args:
        tallies: calls by group and caller.
        lives: the lives of the processes that wrote the logs.
        effects: what the policy means for each caller, by name.
        now: the time of the report.
        by: what the calls are grouped by.
        since: begin of the period in which calls are counted; None for the begin of the logs.
        until: end of that period; None for now.
        every: the longest period of the jobs of callers in seconds, where it is known, by name.
        enforcement: what shows that the policy is in force.
        gone: globs of hosts that are known to be gone.
        unreadable: the parts of the logs that may be calls.
        current: calls of the current API on each day, by caller.
        cuts: two spans to compare, of which the second one ends with the report; None for none.
        policy: its changes are the marks.
    """
    first = min([*(life.begin for life in lives), *(tally.first_seen for tally in tallies.values()), now])
    whole = measure_coverage(lives, Span(max(first, EARLIEST), now))
    period = Span(max(since or first, EARLIEST), until or now)
    judge = Judge(tallies.values(), whole, every, enforcement)
    cuts = cuts if cuts is not None and cuts.begin >= whole.period.begin else None
    everybody = caller_rows(tallies.values(), period, judge, effects, current=current or {}, cuts=cuts)
    callers = [row for row in everybody if not row.is_apart]
    failing = [row for row in everybody if row.state == FAILING]
    ignored = [row for row in everybody if row.state == IGNORED]
    rows = everybody if by == "caller" else group_rows(tallies, period, judge, effects)
    strangers = [row for row in everybody if row.is_stranger and row.calls]
    rows = [row for row in rows if row.calls or row.state not in {"retired", *APART}]
    coverage = whole if period == whole.period else measure_coverage(lives, period)
    absent = unseen(everybody, whole, every or {})
    found = lost_calls(lives, now, judge.silence), unreadable_parts(unreadable or Unreadable(), now, judge.silence)
    doubts = [*silent_hosts(lives, now, gone), *(doubt for doubt in found if doubt is not None)]
    apart = {"failing callers": failing, "ignored callers": ignored, "strangers": strangers}
    others = [name for name, some in apart.items() if some]
    conclusion = conclude(callers, whole, absent, doubts, others=others)
    marks = _marks(policy or Policy(), whole.period)
    compared = differences(callers, cuts) if cuts is not None else None
    return CallerReport(
        now, by, whole, coverage, callers, failing, ignored, doubts, strangers, rows, *conclusion, compared, marks
    )


def _marks(policy: Policy, period: Span) -> list[Change]:
    last = max([period.end, *(date for date in (policy.freeze, policy.sunset) if date is not None)])
    return changes_between(policy, period.begin, last + timedelta(microseconds=1))


def still_calling(report: CallerReport, window: timedelta) -> Gate:
    """Whether anybody who is not refused has called within the window before now.

    Unknown if nobody has, but the log does not cover the window, or somebody may have called without a record.
    """
    since = report.now - window
    if any(row.last_seen >= since and not row.is_refused for row in report.callers):
        return "somebody"
    is_in_doubt = any(doubt.last >= since for doubt in report.doubts)
    return "nobody" if is_covered(report.whole, window) and not is_in_doubt else "unknown"
