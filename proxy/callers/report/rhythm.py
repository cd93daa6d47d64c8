"""How often somebody calls, and what its silence means for somebody who calls that often.

Pure. Times are whole hours in UTC, so that a thousand calls in one are one: the day's ordinal times 24, and its hour.
"""

from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

State = Literal["active", "fading", "quiet", "retired"]
STATES: tuple[State, ...] = ("active", "fading", "quiet", "retired")
"""From the one that calls to the one that is gone."""

HOUR = 3600.0
DAY = 24 * HOUR

SHORTEST_PAUSE = 3 * DAY
"""Seconds for which everybody may be silent: a weekend, and a day."""

RETIRED_AFTER = 14 * DAY
"""Seconds after which a caller can be retired at the earliest."""

UNKNOWN_RETIRED_AFTER = 62 * DAY
"""The same for one whose rhythm is not known: it may be a job of once a month."""

DAYS_TO_KNOW = 4
"""Days on which a caller must have called for its rhythm to be known."""


class Rhythm(NamedTuple):
    """How often somebody calls.

    Attributes:
        interval: seconds between its calls, usually: the median gap between the hours in which it called, or where
            those follow one another, an hour by its calls in one; None where there is but one hour.
        pause: seconds of the longest silence that it has come back from, and at least `SHORTEST_PAUSE`.
        retired_after: seconds of silence after which it is retired.
    """

    interval: float | None
    pause: float
    retired_after: float


def rhythm_of(hours: Iterable[int], calls: int) -> Rhythm:
    """The rhythm of somebody.

    Args:
        hours: those in which it called, each once, in any order.
        calls: how often it called in all.
    """
    called = sorted(hours)
    gaps = [(later - earlier) * HOUR for earlier, later in pairwise(called)]
    interval = median(gaps) if gaps else None
    if interval == HOUR:
        interval = HOUR * len(called) / calls
    pause = max(SHORTEST_PAUSE, *gaps) if gaps else SHORTEST_PAUSE
    is_known = len({hour // 24 for hour in called}) >= DAYS_TO_KNOW
    return Rhythm(interval, pause, max(3 * pause, RETIRED_AFTER if is_known else UNKNOWN_RETIRED_AFTER))


def state_after(rhythm: Rhythm, silence: float) -> State:
    """What so many seconds of silence mean: on time, late, missing, or gone."""
    if silence <= rhythm.pause:
        return "active"
    if silence <= 2 * rhythm.pause:
        return "fading"
    return "quiet" if silence <= rhythm.retired_after else "retired"
