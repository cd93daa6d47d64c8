"""What the policy marks in the burn-down chart: brownouts, the freeze and the sunset.

Pure. Brownouts are those of the present configuration, also in the past: their history is not kept.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Literal, NamedTuple

from proxy.output.formatting import date
from proxy.withdrawn.brownouts import Brownout
from proxy.withdrawn.lifecycle import Policy

MAX_WINDOWS = 200
"""The marked windows of one brownout in the past, and of one in the future: it can recur every minute."""

_INSTANT = timedelta(microseconds=1)


class Mark(NamedTuple):
    """A date in the chart.

    Attributes:
        end: the end of a brownout; None for the others.
        who: whom a brownout affects.
    """

    at: datetime
    kind: Literal["brownout", "freeze", "sunset"]
    end: datetime | None = None
    who: str = ""

    @property
    def text(self) -> str:
        """The mark in words, with times in UTC."""
        until = f" to {date(self.end)}" if self.end is not None else ""
        return f"{self.kind} {date(self.at)}{until}" + (f" for {self.who}" if self.who else "")


def policy_marks(policy: Policy, begin: datetime, now: datetime) -> list[Mark]:
    """The marks from `begin` on, in order: past brownouts and the next window of each, the freeze and the sunset."""
    dates: list[tuple[datetime | None, Literal["freeze", "sunset"]]] = [
        (policy.freeze, "freeze"),
        (policy.sunset, "sunset"),
    ]
    marks = [Mark(at, kind) for at, kind in dates if at is not None and at >= begin]
    for brownout in policy.brownouts:
        marks += _windows(brownout, begin, now)
    return sorted(marks)


def _windows(brownout: Brownout, begin: datetime, now: datetime) -> Iterator[Mark]:
    past = takewhile(lambda window: window.begin <= now, brownout.windows.after(begin - _INSTANT))
    for window in (*islice(past, MAX_WINDOWS), *islice(brownout.windows.after(now), 1)):
        yield Mark(window.begin, "brownout", window.end, ", ".join(brownout.callers))
