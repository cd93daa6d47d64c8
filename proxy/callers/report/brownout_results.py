"""What each brownout has shown: whom it hit, and what they have done since.

Pure: the time is an argument. Calls are known by the hour, so windows in one hour cannot be told apart.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from proxy.callers.report.brownout_calls import BrownoutCalls, CallerHours
from proxy.callers.report.differences import CALLING
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rows import Row
from proxy.withdrawn.brownouts import Brownout, Window
from proxy.withdrawn.lifecycle import Policy, PolicySubject, changes_between

Effect = Literal["hit", "let through", "no call"]
Afterwards = Literal["moved", "back", "silent"]

RECENTLY = timedelta(days=31)
"""A brownout could have hit those who called in this time before it."""

_HOUR = timedelta(hours=1)


class Impact(NamedTuple):
    """What a brownout meant for one caller.

    Attributes:
        effect: whether it was `hit`, or was `let through` in spite of it, or made `no call`, which proves nothing.
        refused: the number of calls that were refused.
        again: how many of them came after the first one of the same job.
        afterwards: `moved` if it only makes the new calls, `back` if it called again, `silent` if it did neither; None
            if it was not hit.
        back_at: the hour of its first call afterwards.
        new_calls: current calls with its token since the end.
    """

    row: Row
    effect: Effect
    refused: int
    again: int
    afterwards: Afterwards | None
    back_at: datetime | None
    new_calls: int


class BrownoutResult(NamedTuple):
    """What a window has shown.

    Attributes:
        is_configured: whether the policy has it. If not, it is known by the refused calls, and only by the hour.
        impacts: on the callers that it is for: who was hit, the most refused calls first, and the others.
    """

    window: Window
    is_configured: bool
    impacts: list[Impact]

    def names(self, effect: Effect, afterwards: Afterwards | None = None) -> list[str]:
        """The callers with this effect, or of those the ones that have done so afterwards."""
        return [
            each.row.name for each in self.impacts if each.effect == effect and afterwards in {None, each.afterwards}
        ]


def brownout_results(
    policy: Policy,
    calls: BrownoutCalls,
    report: CallerReport,
    subjects: Mapping[str, PolicySubject],
) -> list[BrownoutResult]:
    """The windows in the period of a report that are over, in order.

    Args:
        policy: the brownouts.
        calls: when callers were refused.
        report: the callers.
        subjects: the callers as the policy sees them, by name.
    """
    begin, end = report.coverage.period
    changes = changes_between(policy, begin, end)
    windows = [
        (Window(change.at, change.until), change.brownout)
        for change in changes
        if change.until is not None and change.until <= end and change.brownout is not None
    ]
    rows = {row.name: row for row in report.callers}
    found = [_result(window, brownout, _affected(brownout, rows, subjects), calls) for window, brownout in windows]
    unknown = _unknown_windows(windows, calls, rows, subjects)
    found += [_result(window, None, rows.values(), calls) for window in unknown if begin <= window.begin < end]
    return sorted(found, key=lambda result: result.window)


def _affected(brownout: Brownout, rows: Mapping[str, Row], subjects: Mapping[str, PolicySubject]) -> list[Row]:
    return [row for name, row in rows.items() if brownout.affects(name, subjects[name].owner)]


def _result(window: Window, brownout: Brownout | None, rows: Iterable[Row], calls: BrownoutCalls) -> BrownoutResult:
    impacts = [_impact(window, row, calls.callers.get(row.name) or CallerHours()) for row in rows]
    known = [each for each in impacts if each.effect != "no call" or _was_there(window, each.row)]
    order: dict[Effect, int] = {"hit": 0, "let through": 1, "no call": 2}
    known.sort(key=lambda each: (order[each.effect], -each.refused, each.row.name))
    return BrownoutResult(window, brownout is not None, known)


def _was_there(window: Window, row: Row) -> bool:
    return row.first_seen < window.begin and row.last_seen >= window.begin - RECENTLY


def _impact(window: Window, row: Row, hours: CallerHours) -> Impact:
    during = _hours(window)
    by_job = [sum(calls for hour, calls in counts.items() if hour in during) for counts in hours.refused.values()]
    refused, jobs = sum(by_job), sum(map(bool, by_job))
    back_at = next((_moment(hour) for hour in hours.let_through if hour >= _first_after(window)), None)
    new_calls = sum(day.calls for day in row.current if day.last >= window.end)
    if not refused:
        whole = range(_ceil(window.begin), _floor(window.end))
        effect: Effect = "let through" if any(hour in whole for hour in hours.let_through) else "no call"
        return Impact(row, effect, 0, 0, None, back_at, new_calls)
    has_moved = new_calls and (back_at is None or row.state not in CALLING)
    afterwards: Afterwards = "moved" if has_moved else "back" if back_at is not None else "silent"
    return Impact(row, "hit", refused, refused - jobs, afterwards, back_at, new_calls)


def _hours(window: Window) -> range:
    """The hours that a window touches."""
    return range(_floor(window.begin), _ceil(window.end))


def _first_after(window: Window) -> int:
    """The first hour in which a call that is let through must come after the window."""
    return _floor(window.end) if _floor(window.begin) < _floor(window.end) else _floor(window.end) + 1


def _floor(moment: datetime) -> int:
    moment = moment.astimezone(UTC)
    return moment.toordinal() * 24 + moment.hour


def _ceil(moment: datetime) -> int:
    return _floor(moment + _HOUR - timedelta(microseconds=1))


def _moment(hour: int) -> datetime:
    return datetime.fromordinal(hour // 24).replace(hour=hour % 24, tzinfo=UTC)


def _unknown_windows(
    windows: list[tuple[Window, Brownout]],
    calls: BrownoutCalls,
    rows: Mapping[str, Row],
    subjects: Mapping[str, PolicySubject],
) -> Iterator[Window]:
    """The hours in which callers were refused, but not by these windows: those may have left the configuration."""
    hours: set[int] = set()
    for name in rows.keys() & calls.callers.keys():
        known = {
            hour
            for window, brownout in windows
            if brownout.affects(name, subjects[name].owner)
            for hour in _hours(window)
        }
        hours.update(hour for counts in calls.callers[name].refused.values() for hour in counts if hour not in known)
    for begin in sorted(hour for hour in hours if hour - 1 not in hours):
        end = next(hour for hour in range(begin, begin + len(hours) + 1) if hour not in hours)
        yield Window(_moment(begin), _moment(end))
