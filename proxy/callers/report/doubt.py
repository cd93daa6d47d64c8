"""Whether what cannot be read in the logs is a reason not to be sure.

Pure: the time is an argument.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.callers.log.unreadable import PLACES, Unreadable, UnreadableDay
from proxy.callers.report.rhythm import UNKNOWN_RETIRED_AFTER
from proxy.output.formatting import day, minute


class Doubt(NamedTuple):
    """That somebody unknown may have called.

    Attributes:
        reason: a sentence.
        last: when they called last, at the latest.
        safe_at: when they would be retired.
    """

    reason: str
    last: datetime
    safe_at: datetime


def find_doubt(unreadable: Unreadable, now: datetime, silence: Callable[[datetime], float]) -> Doubt | None:
    """Whether somebody unknown may still call; None if whoever it was would be retired by now.

    Args:
        unreadable: what cannot be read and may be calls.
        now: the time of the report.
        silence: tells how many seconds of silence the log proves since a time.
    """
    days = [found for found in unreadable.days.values() if silence(_by(found, now)) <= UNKNOWN_RETIRED_AFTER]
    if not days:
        return None
    last = max(_by(found, now) for found in days)
    safe_at = now + timedelta(seconds=UNKNOWN_RETIRED_AFTER - silence(last))
    return Doubt(_reason(days, last, safe_at), last, safe_at)


def _by(found: UnreadableDay, now: datetime) -> datetime:
    return min(found.last, now) if found.last is not None else now


def _reason(days: Sequence[UnreadableDay], last: datetime, safe_at: datetime) -> str:
    count, places = sum(found.count for found in days), [place for found in days for place in found.places][:PLACES]
    more = f" and {count - len(places)} more" if count > len(places) else ""
    what, they = ("a call", "it") if count == 1 else ("calls", "they")
    is_dated = all(found.last is not None for found in days)
    when = f"written on {minute(last)} at the latest" if is_dated else "nobody knows when written"
    matter = "matters" if count == 1 else "matter"
    return (
        f"{', '.join(places)}{more} may be {what}, but cannot be read; {when}, so {they} {matter} until {day(safe_at)}"
    )
