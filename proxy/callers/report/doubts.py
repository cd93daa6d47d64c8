"""Finds out whether somebody may have called without a trace in the log.

Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import NamedTuple

from proxy.callers.log.lives import Life
from proxy.callers.log.unreadable import PLACES, Unreadable, UnreadableDay
from proxy.callers.report.rhythm import UNKNOWN_RETIRED_AFTER
from proxy.output.formatting import day, minute, pluralize, shortened


class Doubt(NamedTuple):
    """That somebody unknown may have called.

    Attributes:
        reason: a sentence.
        last: when they may have called last.
        safe_at: when they would be retired; None if that does not pass by itself.
    """

    reason: str
    last: datetime
    safe_at: datetime | None


def lost_calls(lives: Iterable[Life], now: datetime, silence: Callable[[datetime], float]) -> Doubt | None:
    """Whether somebody unknown may still call; None if whoever it was would be retired by now.

    Args:
        lives: the lives of all processes.
        now: the time of the report.
        silence: tells how many seconds of silence the log proves since a time.
    """
    beats = {(life.first.instance, life.begin): life.first.lost for life in lives if life.first.lost}
    recent = {beat: lost for beat, lost in beats.items() if silence(beat[1]) <= UNKNOWN_RETIRED_AFTER}
    if not recent:
        return None
    last = max(moment for _, moment in recent)
    safe_at = _retired_at(silence(last), now)
    reason = (
        f"{pluralize(sum(recent.values()), 'call')} left no record, since the log could not be written; the last before"
        f" {minute(last)}, so this matters until {day(safe_at)}"
    )
    return Doubt(reason, last, safe_at)


def unreadable_parts(unreadable: Unreadable, now: datetime, silence: Callable[[datetime], float]) -> Doubt | None:
    """Whether somebody unknown may still call; None if whoever it was would be retired by now.

    Args:
        unreadable: the parts of the log that cannot be read and may be calls.
        now: the time of the report.
        silence: tells how many seconds of silence the log proves since a time.
    """
    days = [found for found in unreadable.days.values() if silence(_by(found, now)) <= UNKNOWN_RETIRED_AFTER]
    if not days:
        return None
    last = max(_by(found, now) for found in days)
    safe_at = _retired_at(silence(last), now)
    return Doubt(_cannot_be_read(days, last, safe_at), last, safe_at)


def _retired_at(silence: float, now: datetime) -> datetime:
    """When somebody unknown is retired who has been silent for so many seconds."""
    return now + timedelta(seconds=UNKNOWN_RETIRED_AFTER - silence)


def _by(found: UnreadableDay, now: datetime) -> datetime:
    return min(found.last, now) if found.last is not None else now


def _cannot_be_read(days: Sequence[UnreadableDay], last: datetime, safe_at: datetime) -> str:
    count, places = sum(found.count for found in days), [place for found in days for place in found.places][:PLACES]
    what = "1 part of the log that may be a call" if count == 1 else f"{count} parts of the log that may be calls"
    more = f" and {count - len(places)} more" if count > len(places) else ""
    is_dated = all(found.last is not None for found in days)
    when = f"by {minute(last)}" if is_dated else "at a time that nobody knows"
    where = ", ".join(places) + more
    return f"{what} cannot be read: {where}; the last was written {when} and matters until {day(safe_at)}"


def silent_hosts(lives: Iterable[Life], now: datetime, gone: Sequence[str] = ()) -> list[Doubt]:
    """A doubt for each host whose log ends without a stop, the last one first.

    A process that was killed looks the same as one that still serves, but whose log is lost or was not read. While
    another process of its host writes to the log or is stopped later, the log of that host is there, so it is gone.

    Args:
        lives: the lives of all processes.
        now: the time of the report.
        gone: globs of hosts that are known to be gone.
    """
    last: dict[str, Life] = {}
    for life in lives:
        other = last.get(life.host)
        if other is None or _end(life) > _end(other):
            last[life.host] = life
    silent = [
        life
        for host, life in last.items()
        if not life.has_stopped and life.due < now and not any(fnmatchcase(host, glob) for glob in gone)
    ]
    silent.sort(key=lambda life: (life.seen, life.host), reverse=True)
    return [Doubt(_reason(life), now, None) for life in silent]


def _reason(life: Life) -> str:
    return (
        f"{shortened(life.host)} fell silent on {minute(life.seen)} without a stop, so it may still serve:"
        " read its log, too, or add it to callers.gone if it is gone"
    )


def _end(life: Life) -> tuple[datetime, bool]:
    return life.last_beat, life.has_stopped
