"""How many calls there were on each day, and in which hours of it."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

_HOURS = 24
ONE_CALL = 1 << _HOURS
"""What each call adds to the item of its day."""

_MASK = ONE_CALL - 1


@dataclass(slots=True)
class Hours:
    """The hours with calls, in eight bytes per day: a bit for each hour, and the number of calls above them.

    Hours are counted as in `rhythm`.

    Attributes:
        first: the first day, as an ordinal.
        days: an item for each day from the first on.
    """

    first: int = 0
    days: "array[int]" = field(default_factory=lambda: array("Q"))

    @classmethod
    def of(cls, calls: Mapping[int, int]) -> Self:
        """The number of calls in each hour."""
        hours = cls()
        for hour, number in calls.items():
            hours.add(hour, number)
        return hours

    def add(self, hour: int, calls: int) -> None:
        """Count calls in an hour."""
        day, bit = divmod(hour, _HOURS)
        self.add_day(day, calls, 1 << bit)

    def add_day(self, day: int, calls: int, bits: int) -> None:
        """Count calls on a day, as an ordinal, with a bit for each hour with calls."""
        days, index = self.days, day - self.first
        if index == len(days) and index:  # the next day, in most cases
            days.append(calls * ONE_CALL | bits)
            return
        if not 0 <= index < len(days):
            self._make_room(day, day + 1)
            days, index = self.days, day - self.first
        days[index] = (days[index] + calls * ONE_CALL) | bits

    def merge(self, other: "Hours") -> None:
        """Add the calls of others."""
        if not self.days:
            self.first, self.days = other.first, other.days[:]
            return
        self._make_room(other.first, other.first + len(other.days))
        begin = other.first - self.first
        for index, packed in enumerate(other.days, begin):
            mine = self.days[index]
            self.days[index] = (mine & ~_MASK) + (packed & ~_MASK) | (mine | packed) & _MASK

    def __iter__(self) -> Iterator[int]:
        """The hours with calls, in order."""
        for day, packed in enumerate(self.days, self.first):
            if packed:
                yield from (day * _HOURS + bit for bit in range(_HOURS) if packed >> bit & 1)

    def by_day(self) -> Iterable[tuple[int, int]]:
        """The number of calls on each day with calls; days are ordinals."""
        return ((day, packed >> _HOURS) for day, packed in enumerate(self.days, self.first) if packed)

    def _make_room(self, begin: int, end: int) -> None:
        if not self.days:
            self.first = begin
        if begin < self.first:
            self.days = array("Q", bytes(8 * (self.first - begin))) + self.days
            self.first = begin
        missing = end - self.first - len(self.days)
        if missing > 0:
            self.days.frombytes(bytes(8 * missing))
