"""How often a job runs, and what its silence means.

Pure. The days on which a job called are the bits of an integer: bit 0 stands for `FIRST_DAY`.
"""

import functools
from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from proxy.callers.record import EARLIEST

State = Literal["active", "fading", "quiet", "retired", "failing", "ignored", "stranger"]
STATES: tuple[State, ...] = ("active", "fading", "quiet", "retired")
"""In order, from callers that still call to callers that have stopped."""

APART: tuple[State, ...] = ("failing", "ignored", "stranger")
"""Those who have no say in the verdict."""

EVERY_STATE: tuple[State, ...] = (*STATES, *APART)

HOUR = 3600.0
DAY = 24 * HOUR
FIRST_DAY = EARLIEST.toordinal()

SHORTEST_PAUSE = 3 * DAY
"""Seconds. Any job may be silent for a weekend and a day."""

RETIRED_AFTER = 31 * DAY
"""Seconds of silence until a job is retired, besides `USUAL_PAUSES`: longer than a holiday of three weeks and its
weekends."""

USUAL_PAUSES = 1.5
"""So many of its usual pauses are added to that: a monthly job may miss one month."""

LONGER_THAN_EVER = 7 * DAY
"""Seconds by which the silence must be longer than the longest pause."""

UNKNOWN_RETIRED_AFTER = 62 * DAY
"""Minimum seconds of silence until a job is retired whose rhythm is not known: it may be a monthly job."""

DAYS_TO_KNOW = 31
"""The rhythm of a job is known if it was seen for so many days, and for longer than its usual pause."""


class Rhythm(NamedTuple):
    """How often a job runs.

    Attributes:
        pause: the longest pause between two days with calls in seconds, at least `SHORTEST_PAUSE`.
        retired_after: seconds of silence until the job is retired.
        is_known: whether it was seen for long enough; if not, `retired_after` is at least `UNKNOWN_RETIRED_AFTER`.
    """

    pause: float
    retired_after: float
    is_known: bool


@functools.lru_cache(4096)
def rhythm_of(days: int) -> Rhythm:
    """The rhythm of a job.

    Args:
        days: the days on which it called, as bits; at least one.
    """
    pauses = [len(silent) + 1 for silent in f"{days:b}".rstrip("0").split("1")[1:-1]]
    usual, longest, span = _usual(pauses), max(pauses, default=0) * DAY, sum(pauses)
    is_known = span >= DAYS_TO_KNOW and span > usual
    after = max(RETIRED_AFTER + USUAL_PAUSES * usual * DAY, longest + LONGER_THAN_EVER)
    return Rhythm(
        max(SHORTEST_PAUSE, longest), after if is_known else max(after, UNKNOWN_RETIRED_AFTER), is_known=is_known
    )


def _usual(pauses: list[int]) -> int:
    """The pause such that shorter ones make up less than half of the time, so bursts and holidays do not count."""
    left = sum(pauses) / 2
    for pause in sorted(pauses):
        left -= pause
        if left <= 0:
            return pause
    return 0


def mixed_rhythm(days: int) -> Rhythm:
    """The rhythm of several jobs that are not told apart: that of the rarest job that there can be among them.

    It has run at least once, on the first day or later, and its longest possible pause is the whole time.
    """
    span = (days.bit_length() - (days & -days).bit_length()) * DAY
    return Rhythm(SHORTEST_PAUSE, retired_after_every(span), is_known=False)


def retired_after_every(period: float) -> float:
    """Seconds of silence until a job is retired that is known to run once in a period, in seconds."""
    return max(UNKNOWN_RETIRED_AFTER, RETIRED_AFTER + USUAL_PAUSES * period)


def interval_of(hours: Iterable[int], calls: int) -> float | None:
    """The usual seconds between calls: the median gap between hours with calls; None if all calls were in one hour.

    If that is one hour, an hour divided by the calls in it.

    Args:
        hours: the hours in which there were calls, without repeats, in any order.
        calls: total number of calls.
    """
    called = sorted(hours)
    gaps = [(later - earlier) * HOUR for earlier, later in pairwise(called)]
    interval = median(gaps) if gaps else None
    return HOUR * len(called) / calls if interval == HOUR else interval


def state_after(rhythm: Rhythm, silence: float) -> State:
    """The state of a job after so many seconds of silence."""
    if silence > rhythm.retired_after:
        return "retired"
    if silence <= rhythm.pause:
        return "active"
    return "fading" if silence <= 2 * rhythm.pause else "quiet"
