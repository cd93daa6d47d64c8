"""The two spans of time that are compared: the last days, and as many before them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Self

WEEK = timedelta(days=7)

_HOUR = timedelta(hours=1)


class Cuts(NamedTuple):
    """The span from `begin` to `middle`, and the one from there to `end`, all on full hours, which logs count by.

    Attributes:
        end: up to an hour after the time of the report.
    """

    begin: datetime
    middle: datetime
    end: datetime

    @classmethod
    def ending(cls, moment: datetime, length: timedelta) -> Self:
        """Two spans of whole days, of which the last one ends with the hour of a time."""
        hour = moment.replace(minute=0, second=0, microsecond=0)
        end = hour if hour == moment else hour + _HOUR
        return cls(end - 2 * length, end - length, end)

    @property
    def length(self) -> timedelta:
        """The length of each span."""
        return self.end - self.middle

    def split(self, hours: Mapping[int, int]) -> tuple[int, int]:
        """The calls in each span, of those in each hour, which are counted as in `rhythm`."""
        begin, middle, end = (moment.toordinal() * 24 + moment.hour for moment in self)
        earlier = sum(calls for hour, calls in hours.items() if begin <= hour < middle)
        return earlier, sum(calls for hour, calls in hours.items() if middle <= hour < end)
