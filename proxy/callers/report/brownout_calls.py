"""When callers were refused by brownouts, and when they were let through, by the hour."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.callers.report.hours import Hours
from proxy.callers.report.jobs import JobName
from proxy.callers.report.tally import CallKey

_NEITHER = {"gone", "rejected"}
"""Outcomes of calls that no brownout would change."""


@dataclass(slots=True)
class CallerHours:
    """The calls of one caller, by hours, which are counted as in `rhythm`.

    Attributes:
        refused: the number of refused calls in each hour, by job.
        let_through: when others were.
    """

    refused: dict[JobName, dict[int, int]] = field(default_factory=dict)
    let_through: Hours = field(default_factory=Hours)


class BrownoutCalls:
    """Collects them.

    Attributes:
        callers: by name.
    """

    def __init__(self) -> None:
        self.callers: dict[str, CallerHours] = {}

    def add(self, caller: str, key: CallKey, refused: Mapping[int, int], hours: Hours) -> None:
        """Add calls with the same key.

        Args:
            caller: who made them.
            key: what they have in common.
            refused: their number in each hour; only needed if a brownout refused them.
            hours: when they were.
        """
        found = self.callers.setdefault(caller, CallerHours())
        if key.outcome == "brownout":
            counts = found.refused.setdefault(key.job, {})
            for hour, calls in refused.items():
                counts[hour] = counts.get(hour, 0) + calls
        elif key.outcome not in _NEITHER:
            found.let_through.merge(hours)
