"""What a report says about each caller, or each group of calls.

Pure.
"""

import copy
import functools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from proxy.callers.ledger.tables.current_calls import CurrentDay
from proxy.callers.report.budget import OTHERS
from proxy.callers.report.coverage import Coverage, Span
from proxy.callers.report.cuts import Cuts
from proxy.callers.report.differences import CALLING, Kind, difference
from proxy.callers.report.enforcement import NOT_SHOWN, Enforcement, let_through
from proxy.callers.report.hours import Hours
from proxy.callers.report.jobs import JobName
from proxy.callers.report.policy_effect import PolicyEffect, combine
from proxy.callers.report.rhythm import (
    APART,
    EVERY_STATE,
    FIRST_DAY,
    Rhythm,
    State,
    interval_of,
    retired_after_every,
    rhythm_of,
    state_after,
)
from proxy.callers.report.tally import FAILING, IGNORED, STRANGER, Tally
from proxy.callers.report.value_counts import ValueCounts

Effects = Mapping[str, PolicyEffect]
_Value = TypeVar("_Value")


class Judge:
    """Judges the silence of callers.

    Args:
        tallies: the tallies of all callers.
        coverage: what the log covers, from its begin until now. Elsewhere silence proves nothing.
        every: the longest period of the jobs of a caller in seconds, where it is known, by the name of the caller.
        enforcement: what shows that the policy is in force.
    """

    def __init__(
        self,
        tallies: Collection[Tally],
        coverage: Coverage,
        every: Mapping[str, float] | None = None,
        enforcement: Enforcement = NOT_SHOWN,
    ) -> None:
        self.now = coverage.period.end
        self.silence = coverage.silence_since()
        self.enforcement = enforcement
        self._every = every or {}
        self._days: dict[JobName, int] = defaultdict(int)
        self._failing = _failing(tallies)
        for tally in tallies:
            for name, job in tally.jobs.named.items():
                self._days[name] |= job.days

    def activity(self, tally: Tally) -> "Activity":
        """How active a caller is: as active as its most active job, until the last of them is retired."""
        apart = self._apart(tally)
        if apart is not None:
            return Activity(apart, 0, in_doubt=False, job=None)
        jobs = [
            self._job_activity(name, job.last_seen, self._rhythm(tally.caller, name, rhythm))
            for name, job, rhythm in tally.jobs.rhythms()
        ]
        state = min((job.state for job in jobs), key=EVERY_STATE.index)
        last = max(jobs, key=lambda job: (job.seconds_left, job.job or ()))
        in_doubt = state != "retired" and all(job.in_doubt or job.state == "retired" for job in jobs)
        return Activity(state, last.seconds_left, in_doubt, last.job if len(jobs) > 1 else None)

    def was_calling(self, tally: Tally, moment: datetime) -> bool:
        """Whether a caller was active or fading at the begin of an earlier day, by its calls before that day."""
        days, now = moment.toordinal() - FIRST_DAY, self.silence(moment)
        for _, job, _ in tally.jobs.rhythms():
            before = job.days & ((1 << days) - 1)
            day_after = datetime.fromordinal(FIRST_DAY + before.bit_length()).replace(tzinfo=UTC)
            last = min(job.last_seen, day_after)
            if before and state_after(rhythm_of(before), self.silence(last) - now) in CALLING:
                return True
        return False

    def _apart(self, tally: Tally) -> State | None:
        """The state of those who have no say in the verdict; None for others."""
        if tally.source == STRANGER:
            return STRANGER
        if tally.rule is not None and tally.rule.ignore:
            return IGNORED
        return FAILING if tally.caller in self._failing else None

    def _rhythm(self, caller: str, name: JobName | None, rhythm: Rhythm) -> Rhythm:
        after = rhythm.retired_after
        if name is not None and not rhythm.is_known:
            # The same job may have had another name, such as before its token was rotated.
            same = rhythm_of(self._days[name])
            after = max(after, same.retired_after) if same.is_known else after
        every = self._every.get(caller)
        return rhythm._replace(retired_after=max(after, retired_after_every(every)) if every is not None else after)

    def _job_activity(self, name: JobName | None, last_seen: datetime, rhythm: Rhythm) -> "Activity":
        silence = self.silence(last_seen)
        state = state_after(rhythm, silence)
        in_doubt = state != state_after(rhythm, (self.now - last_seen).total_seconds()) == "retired"
        return Activity(state, rhythm.retired_after - silence, in_doubt, name)


def _failing(tallies: Collection[Tally]) -> set[str]:
    """The callers of which no call ever worked, although the service was there."""
    failing = {tally.caller for tally in tallies if tally.has_failed and tally.source != OTHERS}
    return failing - {tally.caller for tally in tallies if tally.has_succeeded or tally.may_have_succeeded}


class Activity(NamedTuple):
    """How active a caller or a job is.

    Attributes:
        seconds_left: how much longer it must be silent to be retired.
        in_doubt: it would be retired if the log had no gaps.
        job: the job that is retired last, if there are several.
    """

    state: State
    seconds_left: float
    in_doubt: bool
    job: JobName | None


class Row(NamedTuple):
    """What a report says about a caller or a group of calls.

    Attributes:
        name: name of the caller, or the value that the calls in the group have in common.
        callers: number of callers in the group.
        source: where the caller's name comes from, as in the record; None for a group.
        users: owners of the tokens, the most recent first.
        earlier, recent: number of calls in the spans of `Cuts`, except those that a brownout refused.
        difference: what has changed between these spans, if anything.
        current: calls of the current API by its token, on each day.
        hours: when it called in the period.
        interval: usual seconds between calls (`Rhythm`); None if not known.
        error_share: share of the calls answered with 4xx or 5xx, from 0 to 1.
        failures: calls by status, if it was 4xx or 5xx.
        has_succeeded: whether any call in the whole log was answered with less than 400.
        in_doubt: the caller would be retired if the log had no gaps.
        retired_at: when it will be retired, if it never calls again; None if it is retired.
        job: its job that is retired last, if there are several.
        effect: what the policy means for it.
        is_refused: whether the policy refuses it permanently, and the log shows that it does.
        accepted_while_refused: a call was accepted, although the policy refused it permanently by then.
        predecessor: the caller from before the freeze that it succeeds, if any.
        note: what people should know about it.
        promised: from then on it will not call any more, its owner says.
        values: calls by value.
        period: the period in which calls are counted.
    """

    name: str
    callers: int
    source: str | None
    owner: str | None
    contact: str | None
    users: list[str]
    calls: int
    earlier: int
    recent: int
    difference: Kind | None
    current: Sequence[CurrentDay]
    hours: Hours
    first_seen: datetime
    last_seen: datetime
    interval: float | None
    error_share: float
    failures: Mapping[int, int]
    has_succeeded: bool
    state: State
    in_doubt: bool
    retired_at: datetime | None
    job: JobName | None
    effect: PolicyEffect
    is_refused: bool
    accepted_while_refused: bool
    predecessor: str | None
    note: str | None
    promised: datetime | None
    values: ValueCounts
    period: Span

    @property
    def by_day(self) -> list[int]:
        """The number of calls on each day of the period."""
        return _by_day(self.hours, self.period)

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """The number of calls by value, for each of `value_counts.KINDS`."""
        return self.values.by_kind()

    @property
    def user(self) -> str | None:
        """The most recent user."""
        return self.users[0] if self.users else None

    @property
    def unblocked_at(self) -> datetime | None:
        """When this caller stops blocking removal, if it never calls again; None if it does not block it."""
        if self.retired_at is None or self.is_refused:
            return None
        refused_from = self.effect.refused_from if self.effect.permanent_refusal is None else None
        return min(self.retired_at, refused_from) if refused_from is not None else self.retired_at

    @property
    def is_stranger(self) -> bool:
        """Whether its calls are those of strangers."""
        return self.state == STRANGER

    @property
    def is_apart(self) -> bool:
        """Whether it has no say in the verdict."""
        return self.state in APART

    @property
    def has_broken_promise(self) -> bool:
        """Whether it called although it should not call any more, its owner said."""
        return self.promised is not None and self.last_seen >= self.promised


def caller_rows(
    tallies: Iterable[Tally],
    period: Span,
    judge: Judge,
    effects: Effects,
    *,
    current: Mapping[str, Sequence[CurrentDay]] = {},
    cuts: Cuts | None = None,
) -> list[Row]:
    """A row per caller, by state, then by calls."""
    by_caller = defaultdict(list)
    for tally in tallies:
        by_caller[tally.caller].append(tally)
    rows = []
    for name, parts in by_caller.items():
        whole = _merged(parts)
        row = _row(name, parts, whole, judge.activity(whole), effect=effects[name], period=period, judge=judge)
        calls = current.get(name, ())
        row = row._replace(source=whole.source, predecessor=whole.predecessor, current=calls)
        if cuts is not None and not row.is_apart:
            row = row._replace(difference=difference(row, cuts, functools.partial(judge.was_calling, whole)))
        rows.append(row)
    return _sorted(rows)


def group_rows(tallies: Mapping[tuple[str, str], Tally], period: Span, judge: Judge, effects: Effects) -> list[Row]:
    """A row per group, by state, then by calls. The state is that of the most active caller in the group."""
    groups = defaultdict(list)
    for (group, _), tally in tallies.items():
        groups[group].append(tally)
    rows = []
    for name, parts in groups.items():
        activities = [judge.activity(part) for part in parts]
        most_active = min(activities, key=lambda activity: (EVERY_STATE.index(activity.state), -activity.seconds_left))
        latest = sorted(parts, key=lambda part: (part.last_seen, part.caller), reverse=True)
        effect = combine([effects[part.caller] for part in latest])
        rows.append(_row(name, parts, _merged(parts), most_active, effect=effect, period=period, judge=judge))
    return _sorted(rows)


def _sorted(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (EVERY_STATE.index(row.state), -row.calls, row.name))


def _row(
    name: str, parts: list[Tally], whole: Tally, activity: Activity, *, effect: PolicyEffect, period: Span, judge: Judge
) -> Row:
    retired_at = judge.now + timedelta(seconds=activity.seconds_left)
    return Row(
        name=name,
        callers=len({part.caller for part in parts}),
        source=None,
        owner=_common(part.owner for part in parts),
        contact=_common(part.rule.contact for part in parts if part.rule is not None),
        users=sorted(whole.users, key=lambda user: whole.users[user], reverse=True),
        calls=whole.calls,
        earlier=whole.earlier,
        recent=whole.recent,
        difference=None,
        current=(),
        hours=whole.hours,
        first_seen=whole.first_seen,
        last_seen=whole.last_seen,
        interval=None if _is_shared(whole) else interval_of(whole.hours, whole.calls),
        error_share=round(whole.errors / whole.calls, 4) if whole.calls else 0.0,
        failures=whole.failures,
        has_succeeded=whole.has_succeeded,
        state=activity.state,
        in_doubt=activity.in_doubt,
        retired_at=retired_at if activity.state not in {"retired", *APART} else None,
        job=activity.job,
        effect=effect,
        is_refused=judge.enforcement.shows_refusal(whole, effect),
        accepted_while_refused=let_through(whole, effect) is not None,
        predecessor=None,
        note=_common(part.rule.note for part in parts if part.rule is not None),
        promised=_common(part.rule.promised for part in parts if part.rule is not None),
        values=whole.values,
        period=period,
    )


def _is_shared(tally: Tally) -> bool:
    """Whether the calls are those of several callers, which have no rhythm together."""
    return tally.source in {STRANGER, OTHERS}


def _merged(tallies: list[Tally]) -> Tally:
    first, *others = tallies
    whole = copy.deepcopy(first) if others else first
    for other in others:
        whole.merge(other)
    return whole


def _common(values: Iterable[_Value | None]) -> _Value | None:
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
