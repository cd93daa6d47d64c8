"""What a report says of each caller, or of each group of calls: tallies in, rows out.

Pure.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.callers.report.coverage import Coverage, Span
from proxy.callers.report.policy_effect import PolicyEffect, combine
from proxy.callers.report.rhythm import STATES, State, rhythm_of, state_after
from proxy.callers.report.tally import Tally


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
        effect: what is planned for it.
        passed_while_refused: its last call went through, although it was refused for good by then.
        counts: calls by each value, for each of `tally.COUNTED`.
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
    effect: PolicyEffect
    passed_while_refused: bool
    counts: dict[str, Counter[str]]

    @property
    def is_refused(self) -> bool:
        """Whether it loses nothing by the removal: it is refused for good, and the log says nothing else."""
        return self.effect.refused is not None and not self.passed_while_refused

    @property
    def unblocked_at(self) -> datetime | None:
        """When nobody has to wait for it any more if it never calls again; None where that is so."""
        if self.retired_at is None or self.is_refused:
            return None
        end = self.effect.since if self.effect.refused is None else None
        return min(self.retired_at, end) if end is not None else self.retired_at


def group_tallies(pairs: Iterable[tuple[str, Tally]]) -> dict[str, list[Tally]]:
    """Tallies by the name that each comes with."""
    groups = defaultdict(list)
    for name, tally in pairs:
        groups[name].append(tally)
    return groups


PolicyEffects = Mapping[str, PolicyEffect]


def make_rows(
    groups: Mapping[str, list[Tally]], coverage: Coverage, effects: PolicyEffects, *, is_group: bool
) -> list[Row]:
    """The rows, by the names of what is in them: those that still call first, then by their calls."""
    rows = [_row(name, tallies, coverage, effects, is_group=is_group) for name, tallies in groups.items()]
    return sorted(rows, key=lambda row: (STATES.index(row.state), -row.calls, row.name))


def _row(name: str, tallies: list[Tally], coverage: Coverage, effects: PolicyEffects, *, is_group: bool) -> Row:
    whole = _merged(tallies)
    plans = _plans(tallies, effects) if is_group else effects.get(whole.caller, PolicyEffect())
    # The parts of one caller have one rhythm; callers in a group have each its own, and the liveliest counts.
    state, left, in_doubt = min(
        (_activity(part, coverage) for part in (tallies if is_group else [whole])),
        key=lambda activity: (STATES.index(activity.state), -activity.left),
    )
    users = sorted(whole.users, key=lambda user: whole.users[user], reverse=True)
    return Row(
        name=name,
        callers=len({tally.caller for tally in tallies}),
        source=None if is_group else whole.source,
        owner=_only(tally.owner for tally in tallies),
        contact=_only(tally.rule.contact for tally in tallies if tally.rule is not None),
        user=users[0] if users else None,
        users=users,
        calls=whole.calls,
        by_day=_by_day(whole.hours, coverage.period),
        first_seen=whole.first_seen,
        last_seen=whole.last_seen,
        interval=rhythm_of(whole.hours, whole.calls).interval,
        error_share=round(whole.errors / whole.calls, 4),
        state=state,
        in_doubt=in_doubt,
        retired_at=coverage.period.end + timedelta(seconds=left) if state != "retired" else None,
        effect=plans,
        passed_while_refused=_passed_while_refused(whole, plans),
        counts=whole.counts,
    )


def _plans(tallies: Iterable[Tally], effects: PolicyEffects) -> PolicyEffect:
    latest = sorted(tallies, key=lambda tally: (tally.last_seen, tally.caller), reverse=True)
    return combine([effects.get(tally.caller, PolicyEffect()) for tally in latest])


def _passed_while_refused(tally: Tally, plans: PolicyEffect) -> bool:
    last = tally.let_through
    if plans.refused is None or plans.since is None or last is None or last < plans.since:
        return False
    return tally.refused is None or tally.refused < last


class _Activity(NamedTuple):
    """What became of a caller; `left` are the seconds that it has to stay silent yet to be retired."""

    state: State
    left: float
    in_doubt: bool


def _activity(tally: Tally, coverage: Coverage) -> _Activity:
    rhythm, since = rhythm_of(tally.hours, tally.calls), Span(tally.last_seen, coverage.period.end)
    silence = coverage.covered_seconds(since)  # what time the log was not kept for proves nothing
    found = state_after(rhythm, silence)
    in_doubt = found != state_after(rhythm, since.length.total_seconds()) == "retired"
    return _Activity(found, rhythm.retired_after - silence, in_doubt)


def _merged(tallies: list[Tally]) -> Tally:
    first, *others = tallies
    whole = first.copy() if others else first
    for other in others:
        whole.merge(other)
    return whole


def _only(values: Iterable[str | None]) -> str | None:
    different = {value for value in values if value is not None}
    return different.pop() if len(different) == 1 else None


def days_of(period: Span) -> list[datetime]:
    """The days of a period, each by its beginning."""
    midnight = period.begin.replace(hour=0, minute=0, second=0, microsecond=0)
    return [midnight + timedelta(days=day) for day in range((period.end - midnight).days + 1)]


def _by_day(hours: Mapping[int, int], period: Span) -> list[int]:
    days = [0] * len(days_of(period))
    first = period.begin.toordinal()
    for hour, calls in hours.items():
        days[min(max(hour // 24 - first, 0), len(days) - 1)] += calls
    return days
