"""Describes what the policy will do, in lines for people."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo

from proxy.callers.plan.forecast import CallerStatus, CurrentPhase, UpcomingChange
from proxy.output.formatting import duration, instant, join_names, moment
from proxy.withdrawn.brownouts import Recurring
from proxy.withdrawn.lifecycle import Change, Kind

NAMES = 10
"""How many affected callers are named."""

_WHAT: dict[Kind, str] = {
    "deprecated": "deprecated",
    "freeze": "freeze: new callers are refused",
    "brownout": "brownout",
    "sunset": "sunset: permanently refused",
    "migrated": "migrated: permanently refused",
    "extension": "end of an extension: permanently refused",
}


def upcoming_lines(
    current: CurrentPhase, changes: Sequence[UpcomingChange], now: datetime, local: tzinfo | None, *, has_log: bool
) -> Iterator[str]:
    """The current phase and the next changes.

    Args:
        current: the current phase.
        changes: the next changes.
        now: the time.
        local: time zone that is shown next to UTC; None for the zone of the machine.
        has_log: whether callers that never called are known from a log.
    """
    yield f"phase: {current.phase}" + (f", since {instant(current.since)}" if current.since is not None else "")
    for brownout in current.brownouts:
        change = brownout.change
        if change.until is not None:
            left = duration((change.until - now).total_seconds())
            yield f"now: brownout until {_times(change.until, change, local)}, for another {left}"
            yield f"  affects {_names(brownout.affected, has_log=has_log)}"
    for upcoming in changes:
        change = upcoming.change
        yield f"in {duration((change.at - now).total_seconds())}, {_times(change.at, change, local)}: {_what(change)}"
        yield f"  affects {_names(upcoming.affected, has_log=has_log)}"
    if not changes:
        yield "nothing else is planned"


def _what(change: Change) -> str:
    if change.until is None:
        return _WHAT[change.kind]
    length = duration((change.until - change.at).total_seconds())
    return f"{_WHAT[change.kind]} until {instant(change.until)}, for {length}"


def _times(at: datetime, change: Change, local: tzinfo | None) -> str:
    """A time in UTC, in the local zone and in the zone of the brownout, without repeats."""
    windows = change.brownout.windows if change.brownout is not None else None
    zones = [local, *([windows.zone] if isinstance(windows, Recurring) else [])]
    others = [at.astimezone(zone) for zone in zones]
    # By offset, because zones with the same time can have different names.
    clocks = {time.utcoffset(): f"{moment(time)} {time:%Z}" for time in reversed(others)}
    clocks.pop(at.astimezone(UTC).utcoffset(), None)
    return instant(at) + "".join(f", {clock}" for clock in reversed(clocks.values()))


def _names(affected: Iterable[CallerStatus], *, has_log: bool) -> str:
    """Names of the callers: those that call, then those that are retired, then those that never called."""
    calling, retired, silent = [], [], []
    for caller in affected:
        name = caller.party.name
        if caller.state is None:
            silent.append(f"{name} (never called)" if has_log else name)
        elif caller.state == "retired":
            retired.append(f"{name} (retired)")
        else:
            calling.append(name)
    in_log = calling + retired
    if has_log and not in_log:
        return f"nobody in the log; {join_names(silent, NAMES)}" if silent else "nobody in the log"
    return join_names(in_log + silent, NAMES) if in_log or silent else "no known caller"
