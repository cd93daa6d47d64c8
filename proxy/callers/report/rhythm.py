"""How often a caller calls, and what its silence means.

Pure. Times are whole hours in UTC: the ordinal of the day times 24, plus the hour.
"""

from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

State = Literal["active", "fading", "quiet", "retired", "stranger"]
STATES: tuple[State, ...] = ("active", "fading", "quiet", "retired")
"""In order, from callers that still call to callers that have stopped."""

EVERY_STATE: tuple[State, ...] = (*STATES, "stranger")

HOUR = 3600.0
DAY = 24 * HOUR

SHORTEST_PAUSE = 3 * DAY
"""Seconds. Any caller may be silent for a weekend and a day."""

RETIRED_AFTER = 14 * DAY
"""Minimum seconds of silence until a caller is retired."""

UNKNOWN_RETIRED_AFTER = 62 * DAY
"""The same for a caller whose rhythm is not known: it may be a monthly job."""

DAYS_TO_KNOW = 4
"""The rhythm of a caller is known once it has called on this many days."""


class Rhythm(NamedTuple):
    """How often a caller calls.

    Attributes:
        interval: usual seconds between calls: the median gap between hours with calls, or if that is one hour, an hour
            divided by the calls in it; None if all calls were in one hour.
        pause: the longest gap between calls in seconds, at least `SHORTEST_PAUSE`.
        retired_after: seconds of silence until the caller is retired.
    """

    interval: float | None
    pause: float
    retired_after: float


def rhythm_of(hours: Iterable[int], calls: int) -> Rhythm:
    """The rhythm of a caller.

    Args:
        hours: the hours in which it called, without repeats, in any order.
        calls: total number of calls.
    """
    called = sorted(hours)
    gaps = [(later - earlier) * HOUR for earlier, later in pairwise(called)]
    interval = median(gaps) if gaps else None
    if interval == HOUR:
        interval = HOUR * len(called) / calls
    pause = max(SHORTEST_PAUSE, *gaps) if gaps else SHORTEST_PAUSE
    is_known = len({hour // 24 for hour in called}) >= DAYS_TO_KNOW
    return Rhythm(interval, pause, max(3 * pause, RETIRED_AFTER if is_known else UNKNOWN_RETIRED_AFTER))


def without_rhythm(rhythm: Rhythm) -> Rhythm:
    """The rhythm of several callers in one row: that of each is not known."""
    return Rhythm(None, SHORTEST_PAUSE, max(rhythm.retired_after, UNKNOWN_RETIRED_AFTER))


def state_after(rhythm: Rhythm, silence: float) -> State:
    """The state of a caller after so many seconds of silence."""
    if silence <= rhythm.pause:
        return "active"
    if silence <= 2 * rhythm.pause:
        return "fading"
    return "quiet" if silence <= rhythm.retired_after else "retired"
