"""What a report says about each caller, or each group of calls.

Pure.
"""

import copy
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.callers.report.budget import OTHERS
from proxy.callers.report.coverage import Coverage, Span
from proxy.callers.report.hours import Hours
from proxy.callers.report.policy_effect import PolicyEffect, combine
from proxy.callers.report.rhythm import EVERY_STATE, State, rhythm_of, state_after, without_rhythm
from proxy.callers.report.strangers import STRANGER
from proxy.callers.report.tally import Tally

Effects = Mapping[str, PolicyEffect]


class Row(NamedTuple):
    """What a report says about a caller or a group of calls.

    Attributes:
        name: name of the caller, or the value that the calls in the group have in common.
        callers: number of callers in the group.
        source: where the caller's name comes from, as in the record; None for a group.
        users: owners of the tokens, the most recent first.
        by_day: number of calls on each day of the period.
        interval: usual seconds between calls (`Rhythm`); None if not known.
        error_share: share of the calls answered with 4xx or 5xx, from 0 to 1.
        in_doubt: the caller would be retired if the log had no gaps.
        retired_at: when it will be retired, if it never calls again; None if it is retired.
        effect: what the policy means for it.
        accepted_while_refused: its last call was accepted, although the policy refused it permanently by then.
        counts: calls by value, for each of `tally.COUNTED`.
    """

    name: str
    callers: int
    source: str | None
    owner: str | None
    contact: str | None
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
    accepted_while_refused: bool
    counts: dict[str, Counter[str]]

    @property
    def user(self) -> str | None:
        """The most recent user."""
        return self.users[0] if self.users else None

    @property
    def is_refused(self) -> bool:
        """Whether the policy refuses it permanently, and the log does not contradict that."""
        return self.effect.permanent_refusal is not None and not self.accepted_while_refused

    @property
    def unblocked_at(self) -> datetime | None:
        """When this caller stops blocking removal, if it never calls again; None if it does not block it."""
        if self.retired_at is None or self.is_refused:
            return None
        refused_from = self.effect.refused_from if self.effect.permanent_refusal is None else None
        return min(self.retired_at, refused_from) if refused_from is not None else self.retired_at

    @property
    def is_stranger(self) -> bool:
        """Whether its calls are those of strangers, who have no say in the verdict."""
        return self.state == STRANGER


def caller_rows(tallies: Iterable[Tally], coverage: Coverage, effects: Effects) -> list[Row]:
    """A row per caller, by state, then by calls."""
    by_caller = defaultdict(list)
    for tally in tallies:
        by_caller[tally.caller].append(tally)
    rows = []
    for name, parts in by_caller.items():
        whole = _merged(parts)
        activity = _activity(whole, coverage)
        row = _row(name, parts, whole, activity, effect=effects[name], period=coverage.period)
        rows.append(row._replace(source=whole.source))
    return _sorted(rows)


def group_rows(tallies: Mapping[tuple[str, str], Tally], coverage: Coverage, effects: Effects) -> list[Row]:
    """A row per group, by state, then by calls. The state is that of the most active caller in the group."""
    groups = defaultdict(list)
    for (group, _), tally in tallies.items():
        groups[group].append(tally)
    rows = []
    for name, parts in groups.items():
        activities = (_activity(part, coverage) for part in parts)
        most_active = min(activities, key=lambda activity: (EVERY_STATE.index(activity.state), -activity.seconds_left))
        latest = sorted(parts, key=lambda part: (part.last_seen, part.caller), reverse=True)
        effect = combine([effects[part.caller] for part in latest])
        rows.append(_row(name, parts, _merged(parts), most_active, effect=effect, period=coverage.period))
    return _sorted(rows)


def _sorted(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (EVERY_STATE.index(row.state), -row.calls, row.name))


def _row(
    name: str, parts: list[Tally], whole: Tally, activity: "_Activity", *, effect: PolicyEffect, period: Span
) -> Row:
    retired_at = period.end + timedelta(seconds=activity.seconds_left)
    return Row(
        name=name,
        callers=len({part.caller for part in parts}),
        source=None,
        owner=_common(part.owner for part in parts),
        contact=_common(part.rule.contact for part in parts if part.rule is not None),
        users=sorted(whole.users, key=lambda user: whole.users[user], reverse=True),
        calls=whole.calls,
        by_day=_by_day(whole.hours, period),
        first_seen=whole.first_seen,
        last_seen=whole.last_seen,
        interval=None if _is_shared(whole) else rhythm_of(whole.hours, whole.calls).interval,
        error_share=round(whole.errors / whole.calls, 4),
        state=activity.state,
        in_doubt=activity.in_doubt,
        retired_at=retired_at if activity.state not in {"retired", STRANGER} else None,
        effect=effect,
        accepted_while_refused=_accepted_while_refused(whole, effect),
        counts=whole.counts,
    )


def _accepted_while_refused(tally: Tally, effect: PolicyEffect) -> bool:
    last = tally.last_accepted
    if effect.permanent_refusal is None or effect.refused_from is None or last is None or last < effect.refused_from:
        return False
    return tally.last_refused is None or tally.last_refused < last


class _Activity(NamedTuple):
    """How active a caller is.

    Attributes:
        seconds_left: how much longer it must be silent to be retired.
        in_doubt: it would be retired if the log had no gaps.
    """

    state: State
    seconds_left: float
    in_doubt: bool


def _activity(tally: Tally, coverage: Coverage) -> _Activity:
    rhythm, since = rhythm_of(tally.hours, tally.calls), Span(tally.last_seen, coverage.period.end)
    if tally.source == STRANGER:
        return _Activity(STRANGER, 0, in_doubt=False)
    if _is_shared(tally):
        rhythm = without_rhythm(rhythm)
    silence = coverage.covered_seconds(since)  # without a log, silence proves nothing
    state = state_after(rhythm, silence)
    in_doubt = state != state_after(rhythm, since.length.total_seconds()) == "retired"
    return _Activity(state, rhythm.retired_after - silence, in_doubt)


def _is_shared(tally: Tally) -> bool:
    """Whether the calls are those of several callers, which have no rhythm together."""
    return tally.source in {STRANGER, OTHERS}


def _merged(tallies: list[Tally]) -> Tally:
    first, *others = tallies
    whole = copy.deepcopy(first) if others else first
    for other in others:
        whole.merge(other)
    return whole


def _common(values: Iterable[str | None]) -> str | None:
    """The only value, or None if there are several."""
    different = {value for value in values if value is not None}
    return different.pop() if len(different) == 1 else None


def days_of(period: Span) -> list[datetime]:
    """The first moment of each day of a period."""
    midnight = _midnight(period.begin)
    return [midnight + timedelta(days=day) for day in range((period.end - midnight).days + 1)]


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _by_day(hours: Hours, period: Span) -> list[int]:
    days = [0] * ((period.end - _midnight(period.begin)).days + 1)
    first = period.begin.toordinal()
    for day, calls in hours.by_day():
        days[min(max(day - first, 0), len(days) - 1)] += calls
    return days
