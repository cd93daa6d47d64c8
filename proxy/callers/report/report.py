"""Who still calls, and whether the withdrawn API can be switched off: tallies in, a report with a verdict out.

Pure: what time it is, is an argument.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from proxy.callers.record import Heartbeat
from proxy.callers.report.coverage import Coverage, Span, coverage
from proxy.callers.report.outlook import NOTHING_PLANNED, outlooks
from proxy.callers.report.rows import Row, days_of, grouped, rows_of
from proxy.callers.report.tally import Dimension, Tally
from proxy.output.formatting import date, day, duration, minute, shortened
from proxy.withdrawn.lifecycle import Policy, PolicySubject

Verdict = Literal["safe", "not_yet", "cannot_tell"]
Gate = Literal["nobody", "somebody", "unknown"]

WATCH = timedelta(days=31)
"""For how long the log must have been kept before its silence says that nobody calls: a job may run once a month."""

WATCHED_SHARE = 0.99
"""How much of that: the rest may be restarts."""


class Report(NamedTuple):
    """Who still calls.

    Attributes:
        now: when this was so.
        by: what the rows are grouped by.
        callers: all of them.
        rows: the same, or the groups, those that still call first, then by their calls.
        verdict: whether the withdrawn API can be switched off.
        reasons: for the verdict, a sentence each.
    """

    now: datetime
    by: Dimension
    coverage: Coverage
    callers: list[Row]
    rows: list[Row]
    verdict: Verdict
    reasons: list[str]

    @property
    def retired(self) -> int:
        """How many callers are."""
        return sum(row.state == "retired" for row in self.callers)

    @property
    def last(self) -> Row | None:
        """The caller that has to be waited for longest if nobody calls again; None where nobody has."""
        left = [(row.freed_at, row) for row in self.callers if row.freed_at is not None]
        return max(left, key=lambda pair: pair[0])[1] if left else None

    @property
    def safe_at(self) -> datetime | None:
        """When everybody will be retired or refused if nobody calls again, and the log is kept; None where all are."""
        return self.last.freed_at if self.last is not None else None

    @property
    def is_planned(self) -> bool:
        """Whether anything is planned for anybody, or anybody refused."""
        return any(row.outlook.refusal is not None or row.outlook.next is not None for row in self.callers)

    @property
    def days(self) -> list[datetime]:
        """The days of the period, each by its beginning."""
        return days_of(self.coverage.period)


def report(
    tallies: Mapping[tuple[str, str], Tally],
    beats: Iterable[Heartbeat],
    now: datetime,
    *,
    by: Dimension = "caller",
    since: datetime | None = None,
    policy: Policy = NOTHING_PLANNED,
    parties: Mapping[str, PolicySubject] | None = None,
) -> Report:
    """Make a report.

    Args:
        tallies: by group and caller.
        beats: of the log.
        now: the end of the period.
        by: what the groups have in common.
        since: the beginning of the period; None for that of the log.
        policy: what is planned.
        parties: the callers as the policy sees them, by their names.
    """
    beats = list(beats)
    firsts = [beat.ts for beat in beats] + [tally.first_seen for tally in tallies.values()]
    period = Span(since or min([*firsts, now]), now)
    kept = coverage(beats, period)
    plans = outlooks(policy, parties or {}, now)
    callers = rows_of(grouped((tally.caller, tally) for tally in tallies.values()), kept, plans, is_group=False)
    if by == "caller":
        rows = callers
    else:
        rows = rows_of(grouped((group, tally) for (group, _), tally in tallies.items()), kept, plans, is_group=True)
    return Report(now, by, kept, callers, rows, *_verdict(callers, kept))


def still_calling(report: Report, window: timedelta) -> Gate:
    """Whether anybody has called within the window before now who is not refused already.

    Unknown where nobody did, but the log has gaps in it.
    """
    since = report.now - window
    if any(row.last_seen >= since and not row.is_refused for row in report.callers):
        return "somebody"
    return "nobody" if _is_watched(report.coverage, window) else "unknown"


# --- the verdict


def _verdict(callers: list[Row], kept: Coverage) -> tuple[Verdict, list[str]]:
    there = [row for row in callers if row.state != "retired" and not row.is_refused]
    refused = [_refused(row) for row in callers if row.state != "retired" and row.is_refused]
    if certain := [row for row in there if not row.in_doubt]:
        return "not_yet", [_still_there(row) for row in certain] + refused
    if there or not _is_watched(kept, WATCH):
        doubts = [f"{shortened(row.name)} may have called meanwhile" for row in there]
        return "cannot_tell", _missing(kept) + doubts + refused
    watched = duration(kept.within(kept.period))
    everybody = f"every caller is retired{' or refused already' if refused else ''}" if callers else "nobody has called"
    return "safe", [f"{everybody}, in {watched} of log", *refused]


def _still_there(row: Row) -> str:
    retired = f"; retired on {day(row.retired_at)} if it never calls again" if row.retired_at is not None else ""
    broken = ", and none of its calls has worked" if row.error_share == 1 else ""
    return f"{_who(row)} is {row.state}: last call {minute(row.last_seen)}{broken}{_planned(row)}{retired}"


def _refused(row: Row) -> str:
    since = f" since {date(row.outlook.since)}" if row.outlook.since is not None else ""
    return f"{_who(row)} is refused already{since} ({row.outlook.refused}): last call {minute(row.last_seen)}"


def _planned(row: Row) -> str:
    since = row.outlook.since
    if since is None:
        return ""
    if row.is_let_through:
        return f", let through, although this policy has refused it since {date(since)}"
    return f"; refused from {date(since)} on"


def _who(row: Row) -> str:
    return shortened(row.name) + (f" of {shortened(row.owner)}" if row.owner is not None else "")


def _missing(kept: Coverage) -> list[str]:
    reasons = [
        f"no log from {minute(gap.begin)} to {minute(gap.end)}, {duration(gap.length.total_seconds())}"
        for gap in kept.gaps
    ]
    if kept.period.length < WATCH:
        whole = duration(kept.period.length.total_seconds())
        reasons.append(f"the log goes back {whole}; {WATCH.days} days would show a job of once a month")
    return reasons


def _is_watched(kept: Coverage, window: timedelta) -> bool:
    end = kept.period.end
    return kept.within(Span(end - window, end)) >= WATCHED_SHARE * window.total_seconds()
