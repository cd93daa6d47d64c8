"""How many calls there were on each day, and in which hours of it."""

from array import array
from collections.abc import Iterable, Iterator

_HOURS, _ONE_CALL = 24, 1 << 24
_MASK = _ONE_CALL - 1


class Hours:
    """The hours with calls, in eight bytes per day: a bit for each hour, and the number of calls above them.

    Hours are counted as in `rhythm`.

    Attributes:
        first: the first day, as an ordinal.
        days: an item for each day from the first on.
    """

    def __init__(self) -> None:
        self.first = 0
        self.days = array("Q")

    def add(self, hour: int, calls: int) -> None:
        """Count calls in an hour."""
        day, bit = divmod(hour, _HOURS)
        self._make_room(day, day + 1)
        index = day - self.first
        self.days[index] = (self.days[index] + calls * _ONE_CALL) | 1 << bit

    def merge(self, other: "Hours") -> None:
        """Add the calls of others."""
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
