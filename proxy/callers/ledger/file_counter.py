"""Counts files of the caller log into the ledger, each part once.

The position in each file is stored together with what was counted up to there. So a process that is killed loses
nothing and counts nothing twice, and neither do several processes with the same log.
"""

import io
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from proxy.callers.ledger import counted_file
from proxy.callers.ledger.counted_file import CountedFile
from proxy.callers.ledger.counts import Counts
from proxy.callers.ledger.file_id import Ending, file_id, thinned
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.proven import Clock, ProvenTokens
from proxy.callers.ledger.tables.files import CountedMeanwhile, Progress
from proxy.callers.ledger.tables.unreadable import UNDATED
from proxy.callers.log.content import Damaged, chunks, is_plain, opened
from proxy.callers.log.copies import Log
from proxy.callers.log.reader import LONGEST_LINE, Lines, last_change, whole_lines, without
from proxy.callers.log.unreadable import Neighbours, Unreadable
from proxy.callers.record import CLOCK_SKEW

_PART = 4 << 20
"""Bytes of a log that are counted in one transaction."""

_SLICE = 100
"""Lines after which other threads get their turn, which takes half a millisecond."""

_TOLERANCE = timedelta(seconds=2)
"""The times of files are only so exact."""

_BEING_WRITTEN = timedelta(minutes=1)
"""A file that was changed so recently may still be compressed, copied or appended to."""

_LINE_ENDS = (b"\n", b"\0")
"""After a loss of power, zeros may stand for lines."""


class FileCounter:
    """Counts files of the log, each from where it was counted before.

    Args:
        ledger: where to count.
        now: the time, UTC.
        warn: is told what is counted twice.
        is_live: whether a proxy writes the log: pause half of the time, for other threads, and leave the end of files
            for later that were changed a moment ago.

    Attributes:
        position: bytes that are counted of the growing file.
    """

    def __init__(
        self, ledger: Ledger, now: Clock, warn: Callable[[str], None] = lambda _: None, *, is_live: bool = False
    ) -> None:
        self._ledger, self._now, self._warn, self._is_live = ledger, now, warn, is_live
        self._proven = ProvenTokens(ledger, now)
        self._growing: _Position | None = None
        self._done: dict[tuple[int, int], tuple[int, int]] = {}

    @property
    def position(self) -> int:
        """Bytes that are counted of the growing file."""
        return self._growing.end if self._growing is not None else 0

    def forget(self) -> None:
        """Ask the ledger again how far each file is counted."""
        self._growing = None
        self._done.clear()

    def count(self, path: str, *, name: str | None = None, grows: bool = False, skip: int = 0) -> int:
        """Count what is new in a file.

        Args:
            path: of the file.
            name: what it is called in reports, if not by its path.
            grows: whether more may be appended: then a last line that is not complete is left for later.
            skip: bytes at its beginning that another file has, too, which goes on differently.

        Returns:
            The number of records; 0 if another process counts it at the same time.

        Raises:
            LedgerUnavailable: only a part of the file is counted.
            NoLog: the file cannot be read.
        """
        file = file_id(path, grows=grows)
        if file is None:
            return 0
        with opened(path) as stream:
            try:
                if grows:
                    return self._count_growing(file, Log(path, skip), stream)
                return self._count_done(file, Log(path, skip), name or path, stream)
            except CountedMeanwhile:
                self.forget()
                return 0

    def _count_growing(self, file: str, log: Log, stream: io.BufferedReader) -> int:
        position = self._growing
        if position is not None and position.file.first_line == file:
            stream.seek(position.end)
        else:
            found = counted_file.find(self._ledger, file, log, self._warn, grows=True)
            position = self._growing = _Position(found, log.path, stream)
        return self._count_from(position, stream, is_complete=False)

    def _count_done(self, file: str, log: Log, name: str, stream: io.BufferedReader) -> int:
        """Count a file that nobody appends to."""
        found = os.fstat(stream.fileno())
        identity, state = (found.st_dev, found.st_ino), (found.st_size, found.st_mtime_ns)
        if self._done.get(identity) == state:
            return 0
        before, changed = counted_file.find(self._ledger, file, log, self._warn), last_change(stream)
        # A log that somebody names may be the whole one of which a damaged copy was counted.
        if self._is_live and before.counted and changed is not None and changed < before.counted.at - _TOLERANCE:
            return 0
        is_complete = not self._is_live or changed is None or abs(self._now() - changed) > _BEING_WRITTEN
        number = self._count_from(_Position(before, name, stream), stream, is_complete=is_complete)
        self._done[identity] = state
        return number

    def _count_from(self, position: "_Position", stream: io.BufferedReader, *, is_complete: bool) -> int:
        number, changed = 0, last_change(stream)
        try:
            for lines, size in _parts(position.rest(stream), is_complete=is_complete):
                number += self._count_part(position, lines, size, changed)
        except Damaged:
            if position.has_rest or position.file.counted is None:
                position.has_rest = True
                position.lines.neighbours.add(None)
        if is_complete:
            position.lines.end(changed)
            self._add_end(position)
        return number

    def _count_part(self, position: "_Position", lines: list[bytes], size: int, changed: datetime | None) -> int:
        counts, number = Counts(self._proven.strangers()), 0
        for begin in range(0, len(lines), _SLICE):
            started = time.monotonic()
            records, found = position.lines.records_in(lines[begin : begin + _SLICE])
            counts.add(records, found, self._now() + CLOCK_SKEW)
            number += len(records)
            if self._is_live:
                time.sleep(time.monotonic() - started)
        if not number and not lines[-1].endswith(_LINE_ENDS):
            return 0
        position.lines.neighbours.end(changed)
        self._ledger.add(counts, position.unreadable, position.advance(size, self._now()))
        position.unreadable.days.clear()
        return number

    def _add_end(self, position: "_Position") -> None:
        """Note that the file is read to its end, and what may be calls there: a longer copy may show what they are."""
        torn = {day or UNDATED: found.count for day, found in position.unreadable.days.items()}
        progress = position.advance(0, self._now())._replace(torn=torn if position.has_rest else None)
        self._ledger.add(Counts(self._proven.strangers()), position.unreadable, progress)


class _Position:
    """How far a file is counted.

    Args:
        file: what is known about it.
        name: what it is called in reports.
        stream: is moved to what is not counted.

    Attributes:
        end: bytes that are counted.
        has_rest: whether there was more than was counted before.
        lines: finds the records.
        unreadable: what was not added to the ledger yet.
    """

    def __init__(self, file: CountedFile, name: str, stream: io.BufferedReader) -> None:
        self.file, self.end, self.has_rest = file, file.position, False
        self.unreadable = Unreadable()
        self.lines = Lines(Neighbours(self.unreadable, name))
        self._name, self._lines = name, file.lines
        self._marks = file.counted.marks if file.counted is not None else []
        self._skip = file.position
        if is_plain(stream):
            self._skip = 0
            stream.seek(file.position)
            self.lines.number = file.lines

    def rest(self, stream: io.BufferedReader) -> Iterator[bytes]:
        """The content that is not counted."""
        self._ending = Ending(0 if self._skip else self.end)
        for chunk in without(self._ending.follow(chunks(stream)), self._skip, self.lines):
            self.has_rest = self.has_rest or bool(chunk)
            yield chunk

    def advance(self, size: int, now: datetime) -> Progress:
        """Note that so many bytes more are counted."""
        begin, self.end = self.end, self.end + size
        if size:
            self._lines = self.lines.number
            self._marks = thinned([*self._marks, self._ending.mark(self.end, self._lines)])
        return Progress(self.file.row, self._name, begin, self.end, now, self._lines, self.file.begin, self._marks)


def _parts(content: Iterator[bytes], *, is_complete: bool) -> Iterator[tuple[list[bytes], int]]:
    """Lines for one transaction each, and the number of their bytes. An incomplete line comes alone, at the end."""
    part: list[bytes] = []
    begin = end = 0
    try:
        for lines, line_end in whole_lines(content, LONGEST_LINE):
            if lines and not lines[-1].endswith(_LINE_ENDS):
                if end > begin:
                    yield part, end - begin
                if is_complete:
                    yield lines, line_end - end
                return
            part += lines
            end = line_end
            if end - begin >= _PART:
                yield part, end - begin
                part, begin = [], end
    except Damaged:
        if end > begin:
            yield part, end - begin
        raise
    if end > begin:
        yield part, end - begin
