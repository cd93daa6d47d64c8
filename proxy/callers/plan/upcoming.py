"""What the policy will do, as lines for people."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Literal

from proxy.callers.plan.forecast import Coming, Present, Subject
from proxy.output.formatting import duration, instant, join_names, moment
from proxy.withdrawn.brownouts import Recurring
from proxy.withdrawn.lifecycle import Change, Kind

NAMES = 10
"""How many of those whom a change hits are named."""

_WHAT: dict[Kind, str] = {
    "deprecated": "deprecated",
    "freeze": "freeze: who has not called by then is refused",
    "brownout": "brownout",
    "sunset": "sunset: refused for good",
    "migrated": "migrated: refused from then on",
    "extension": "an extension ends: refused for good",
}


def agenda(
    present: Present, coming: Sequence[Coming], now: datetime, local: tzinfo | None, *, is_read: bool
) -> Iterator[str]:
    """The phase, and what comes next.

    Args:
        present: how far the withdrawal has come.
        coming: the next changes.
        now: the time.
        local: the zone whose times stand beside those in UTC; None for that of the machine.
        is_read: whether the callers are those of a log.
    """
    yield f"phase: {present.phase}" + (f", since {instant(present.since)}" if present.since is not None else "")
    for under_way in present.open:
        change = under_way.change
        if change.until is not None:
            left = duration((change.until - now).total_seconds())
            yield f"now: brownout until {_times(change.until, change, local)}, for another {left}"
            yield f"  hits {_whom(under_way.hits, is_read=is_read)}"
    for next_ in coming:
        change = next_.change
        yield f"in {duration((change.at - now).total_seconds())}, {_times(change.at, change, local)}: {_what(change)}"
        yield f"  hits {_whom(next_.hits, is_read=is_read)}"
    if not coming:
        yield "nothing else is planned"


def _what(change: Change) -> str:
    if change.until is None:
        return _WHAT[change.kind]
    length = duration((change.until - change.at).total_seconds())
    return f"{_WHAT[change.kind]} until {instant(change.until)}, for {length}"


def _times(at: datetime, change: Change, local: tzinfo | None) -> str:
    """A time in UTC, in the local zone and in the window's own, each clock once."""
    windows = change.brownout.windows if change.brownout is not None else None
    zones = [local, *([windows.zone] if isinstance(windows, Recurring) else [])]
    others = [at.astimezone(zone) for zone in zones]
    # A dictionary, since equal clocks may have different names.
    clocks = {time.utcoffset(): f"{moment(time)} {time:%Z}" for time in reversed(others)}
    clocks.pop(at.astimezone(UTC).utcoffset(), None)
    return instant(at) + "".join(f", {clock}" for clock in reversed(clocks.values()))


def _whom(hits: Iterable[Subject], *, is_read: bool) -> str:
    """Names: those that call, then those that are gone, then those that never called."""
    order: dict[Literal["calls", "retired", "never called"], list[str]] = {
        "calls": [],
        "retired": [],
        "never called": [],
    }
    for subject in hits:
        name = subject.party.name
        if subject.state is None:
            order["never called"].append(f"{name} (never called)" if is_read else name)
        elif subject.state == "retired":
            order["retired"].append(f"{name} (retired)")
        else:
            order["calls"].append(name)
    there, silent = order["calls"] + order["retired"], order["never called"]
    if not there and is_read:
        return f"nobody in the log; {join_names(silent, NAMES)}" if silent else "nobody in the log"
    return join_names(there + silent, NAMES) if there or silent else "nobody that is known"
