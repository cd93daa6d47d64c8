"""Remembers the parts of logs that cannot be read and may be calls, of which the verdict must not be silent.

Pure.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from proxy.callers.log.envelope import moments_in
from proxy.callers.record import EARLIEST, Heartbeat, ReportedCall, in_utc

PLACES = 3
"""How many places are named."""

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class UnreadableDay:
    """What was written on one day, at the latest.

    Attributes:
        places: the first of them.
        last: None if it is not known.
    """

    def __init__(self, last: datetime | None) -> None:
        self.count = 0
        self.last = last
        self.places: list[str] = []


class Unreadable:
    """Lines that may be calls, and files of which a part is missing: counted by day, in bounded memory.

    Attributes:
        days: what was written on each day, by its ordinal; None for what cannot be dated.
    """

    def __init__(self) -> None:
        self.days: dict[int | None, UnreadableDay] = {}

    def add(self, place: str, last: datetime | None, count: int = 1) -> None:
        """Count some of them.

        Args:
            place: where the first of them is.
            last: when they were written, at the latest; None if that is not known.
            count: how many there are.
        """
        found = self.days.setdefault(last.toordinal() if last is not None else None, UnreadableDay(last))
        found.count += count
        if last is not None and found.last is not None:
            found.last = max(found.last, last)
        if len(found.places) < PLACES:
            found.places.append(place)


class Neighbours:
    """Dates the unreadable parts of one log: by a time in them, or by the records before and after them.

    Args:
        unreadable: where to count them.
        path: of the log.
        latest: no record is of this time or later; None for no limit.
    """

    def __init__(self, unreadable: Unreadable, path: str, latest: datetime | None = None) -> None:
        self._unreadable, self._path, self._latest = unreadable, path, latest or _END_OF_TIME
        self._previous: datetime | None = None
        self._first: str | None = None
        self._waiting = 0

    def add(self, line: int | None, text: bytes = b"") -> None:
        """Count a part of the log that may be a call.

        Args:
            line: its number; None for all that follows.
            text: what cannot be read.
        """
        place = f"{self._path}:{line}" if line is not None else f"the rest of {self._path}"
        times = [time for moment in moments_in(text) if (time := self._plausible(moment)) is not None]
        if times:
            self._unreadable.add(place, max(times))
        else:
            self._first = self._first or place
            self._waiting += 1

    def pass_records(self, records: Sequence[ReportedCall | Heartbeat]) -> None:
        """Note the records that follow."""
        if not records:
            return
        if self._waiting:
            after = self._plausible(records[0].ts)
            if after is None:
                return
            self._count_waiting(after)
        self._previous = self._plausible(records[-1].ts) or self._previous

    def end(self, changed: datetime | None) -> None:
        """Count the lines after the last record.

        Args:
            changed: when the log was last written; None if that is not known.
        """
        if self._waiting:
            is_right = changed is not None and changed >= (self._previous or EARLIEST)
            self._count_waiting(changed if is_right else None)

    def _count_waiting(self, after: datetime | None) -> None:
        # Logs of several processes need not be in order.
        last = max(after, self._previous or after) if after is not None else None
        self._unreadable.add(self._first or self._path, last, self._waiting)
        self._first, self._waiting = None, 0

    def _plausible(self, moment: datetime) -> datetime | None:
        moment = in_utc(moment)
        return moment if EARLIEST <= moment < self._latest else None
