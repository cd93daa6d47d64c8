"""Who still calls, and whether the withdrawn API can be switched off: tallies in, a report with a verdict out.

Pure: what time it is, is an argument.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from proxy.callers.coverage import Coverage, Span, coverage
from proxy.callers.outlook import NOTHING_PLANNED, Outlook, outlook, together
from proxy.callers.record import Heartbeat
from proxy.callers.rhythm import STATES, State, rhythm
from proxy.callers.rhythm import state as state_of
from proxy.callers.tally import Dimension, Tally
from proxy.withdrawn.lifecycle import Party, Policy
from proxy.words import date, day, duration, minute, shortened

Verdict = Literal["safe", "not_yet", "cannot_tell"]
Gate = Literal["nobody", "somebody", "unknown"]

WATCH = timedelta(days=31)
"""For how long the log must have been kept before its silence says that nobody calls: a job may run once a month."""

WATCHED_SHARE = 0.99
"""How much of that: the rest may be restarts."""


class Row(NamedTuple):
    """What a report says of a caller, or of a group of calls.

    Attributes:
        name: of the caller, or the value that the group has in common.
        callers: how many are in it.
        source: what the caller has its name from, as in the record; None for a group.
        user: whose token it was, the last time.
        users: all of them, the last one first.
        by_day: calls on each day of the period, the first day first.
        interval: seconds between its calls, usually (`Rhythm`); None where that cannot be said yet.
        error_share: part of the calls that got 4xx or 5xx, from 0 to 1.
        in_doubt: it has been silent for so long that it would be retired, had the log been kept all that time.
        retired_at: when it will be retired if it never calls again, and the log is kept; None where it is.
        outlook: what is planned for it.
        is_let_through: its last call went through, although it was refused for good by then.
        endpoints, repositories, workflows, agents, outcomes: calls by each.
        replacements: calls by what is to be called instead.
    """

    name: str
    callers: int
    source: str | None
    owner: str | None
    contact: str | None
    user: str | None
    users: list[str]
    calls: int
    by_day: list[int]
    first_seen: datetime
    last_seen: datetime
    interval: float | None
    error_share: float
    state: State
    in_doubt: bool
    retired_at: datetime | None
    outlook: Outlook
    is_let_through: bool
    endpoints: Counter[str]
    repositories: Counter[str]
    workflows: Counter[str]
    agents: Counter[str]
    outcomes: Counter[str]
    replacements: Counter[str]

    @property
    def is_refused(self) -> bool:
        """Whether it loses nothing by the removal: it is refused for good, and the log says nothing else."""
        return self.outlook.refused is not None and not self.is_let_through

    @property
    def freed_at(self) -> datetime | None:
        """When nobody has to wait for it any more if it never calls again; None where that is so."""
        if self.retired_at is None or self.is_refused:
            return None
        end = self.outlook.since if self.outlook.refused is None else None
        return min(self.retired_at, end) if end is not None else self.retired_at


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
        return _days(self.coverage.period)


def report(
    tallies: Mapping[tuple[str, str], Tally],
    beats: Iterable[Heartbeat],
    now: datetime,
    *,
    by: Dimension = "caller",
    since: datetime | None = None,
    policy: Policy = NOTHING_PLANNED,
    parties: Mapping[str, Party] | None = None,
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
    outlooks = {name: outlook(policy, party, now) for name, party in (parties or {}).items()}
    callers = _rows(_grouped((tally.caller, tally) for tally in tallies.values()), kept, outlooks, is_group=False)
    if by == "caller":
        rows = callers
    else:
        rows = _rows(_grouped((group, tally) for (group, _), tally in tallies.items()), kept, outlooks, is_group=True)
    return Report(now, by, kept, callers, rows, *_verdict(callers, kept))


def still_calling(report: Report, window: timedelta) -> Gate:
    """Whether anybody has called within the window before now who is not refused already.

    Unknown where nobody did, but the log has gaps in it.
    """
    since = report.now - window
    if any(row.last_seen >= since and not row.is_refused for row in report.callers):
        return "somebody"
    return "nobody" if _is_watched(report.coverage, window) else "unknown"


# --- rows


def _grouped(pairs: Iterable[tuple[str, Tally]]) -> dict[str, list[Tally]]:
    groups = defaultdict(list)
    for name, tally in pairs:
        groups[name].append(tally)
    return groups


Outlooks = Mapping[str, Outlook]


def _rows(groups: Mapping[str, list[Tally]], kept: Coverage, outlooks: Outlooks, *, is_group: bool) -> list[Row]:
    rows = [_row(name, tallies, kept, outlooks, is_group=is_group) for name, tallies in groups.items()]
    return sorted(rows, key=lambda row: (STATES.index(row.state), -row.calls, row.name))


def _row(name: str, tallies: list[Tally], kept: Coverage, outlooks: Outlooks, *, is_group: bool) -> Row:
    whole = _merged(tallies)
    latest = sorted(tallies, key=lambda tally: (tally.last_seen, tally.caller), reverse=True)
    plans = together([outlooks.get(tally.caller, Outlook()) for tally in latest])
    if not is_group:
        plans = outlooks.get(whole.caller, Outlook())
    # The parts of one caller have one rhythm; callers in a group have each its own, and the liveliest counts.
    state, left, in_doubt = min(
        (_standing(part, kept) for part in (tallies if is_group else [whole])),
        key=lambda standing: (STATES.index(standing.state), -standing.left),
    )
    users = sorted(whole.users, key=lambda user: whole.users[user], reverse=True)
    return Row(
        name=name,
        callers=len({tally.caller for tally in tallies}),
        source=None if is_group else whole.source,
        owner=_common(tally.owner for tally in tallies),
        contact=_common(tally.rule.contact for tally in tallies if tally.rule is not None),
        user=users[0] if users else None,
        users=users,
        calls=whole.calls,
        by_day=_by_day(whole.hours, kept.period),
        first_seen=whole.first_seen,
        last_seen=whole.last_seen,
        interval=rhythm(whole.hours, whole.calls).interval,
        error_share=round(whole.errors / whole.calls, 4),
        state=state,
        in_doubt=in_doubt,
        retired_at=kept.period.end + timedelta(seconds=left) if state != "retired" else None,
        outlook=plans,
        is_let_through=not is_group and _is_let_through(whole, plans),
        endpoints=whole.endpoints,
        repositories=whole.repositories,
        workflows=whole.workflows,
        agents=whole.agents,
        outcomes=whole.outcomes,
        replacements=whole.replacements,
    )


def _is_let_through(tally: Tally, plans: Outlook) -> bool:
    last = tally.let_through
    if plans.refused is None or plans.since is None or last is None or last < plans.since:
        return False
    return tally.refused is None or tally.refused < last


class _Standing(NamedTuple):
    """What became of a caller; `left` are the seconds that it has to stay silent yet to be retired."""

    state: State
    left: float
    in_doubt: bool


def _standing(tally: Tally, kept: Coverage) -> _Standing:
    beat, since = rhythm(tally.hours, tally.calls), Span(tally.last_seen, kept.period.end)
    silence = kept.within(since)  # what time the log was not kept for proves nothing
    found = state_of(beat, silence)
    in_doubt = found != state_of(beat, since.length.total_seconds()) == "retired"
    return _Standing(found, beat.retired_after - silence, in_doubt)


def _merged(tallies: list[Tally]) -> Tally:
    first, *others = tallies
    whole = first.copy() if others else first
    for other in others:
        whole.merge(other)
    return whole


def _common(values: Iterable[str | None]) -> str | None:
    different = {value for value in values if value is not None}
    return different.pop() if len(different) == 1 else None


def _days(period: Span) -> list[datetime]:
    midnight = period.begin.replace(hour=0, minute=0, second=0, microsecond=0)
    return [midnight + timedelta(days=day) for day in range((period.end - midnight).days + 1)]


def _by_day(hours: Mapping[int, int], period: Span) -> list[int]:
    days = [0] * len(_days(period))
    first = period.begin.toordinal()
    for hour, calls in hours.items():
        days[min(max(hour // 24 - first, 0), len(days) - 1)] += calls
    return days


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
