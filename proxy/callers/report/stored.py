"""Reads the calls that a ledger holds."""

from datetime import datetime, timedelta

from proxy.callers.ledger.ledger import Content
from proxy.callers.ledger.schema import to_moment
from proxy.callers.report.hours import ONE_CALL, Hours
from proxy.callers.report.tally import CallKey


class StoredCalls:
    """The calls with one key, within the period or outside of it.

    Attributes:
        id: of the key, in the ledger.
        calls: their number.
        hours: when they were.
    """

    __slots__ = ("calls", "first_microsecond", "hours", "id", "key", "last_microsecond")

    def __init__(self, number: int, key: CallKey, first: int) -> None:
        self.id, self.key, self.calls = number, key, 0
        self.first_microsecond = self.last_microsecond = first
        self.hours = Hours()

    @property
    def first(self) -> datetime:
        """Time of the first one; on a day that is only in part within the period, that of the first one of the day."""
        return to_moment(self.first_microsecond)

    @property
    def last(self) -> datetime:
        """Time of the last one, as `first`."""
        return to_moment(self.last_microsecond)

    def add(self, day: int, first: int, last: int, calls: int, bits: int) -> None:
        """Add those on one day."""
        self.calls += calls
        self.first_microsecond = min(self.first_microsecond, first)
        self.last_microsecond = max(self.last_microsecond, last)
        self.hours.add_day(day, calls, bits)


class StoredPeriod:
    """The calls that a ledger holds, parted by a period.

    Args:
        content: of the ledger.
        since, until: the period. Hours of which a part is within it are.

    Attributes:
        inside: the calls within the period.
        outside: all others.
    """

    def __init__(self, content: Content, since: datetime, until: datetime) -> None:  # noqa: C901
        self.inside: dict[int, StoredCalls] = {}
        self.outside: dict[int, StoredCalls] = {}
        self._keys = content.keys()
        begin, end = _hour(since), _hour(until + timedelta(hours=1, microseconds=-1))
        parted = {begin // 24, end // 24}
        inside, outside, first_day, last_day = self.inside, self.outside, begin // 24, end // 24
        # This loop runs half a million times, so it calls no functions that it can do without.
        for day, number, first, last, calls, bits in content.days(0, datetime.max.toordinal()):
            if first_day < day < last_day:
                found = inside.get(number) or self._of(inside, number, first)
            elif day not in parted:
                found = outside.get(number) or self._of(outside, number, first)
            else:
                continue
            if first < found.first_microsecond:  # noqa: PLR1730
                found.first_microsecond = first
            if last > found.last_microsecond:  # noqa: PLR1730
                found.last_microsecond = last
            found.calls += calls
            hours = found.hours
            days = hours.days
            if days and day - hours.first == len(days):  # the next day, in most cases
                days.append(calls * ONE_CALL | bits)
            else:
                hours.add_day(day, calls, bits)
        for day in parted:
            for _, number, first, last, _, _, *by_hour in content.hours(day):
                for hour, calls in enumerate(by_hour):
                    if calls:
                        part = self.inside if begin <= day * 24 + hour < end else self.outside
                        self._of(part, number, first).add(day, first, last, calls, 1 << hour)

    def _of(self, part: dict[int, StoredCalls], number: int, first: int) -> StoredCalls:
        found = part.get(number)
        if found is None:
            found = part[number] = StoredCalls(number, CallKey(*self._keys[number]), first)
        return found


def _hour(moment: datetime) -> int:
    return moment.toordinal() * 24 + moment.hour
