"""Counts the caller log into the ledger: what is appended to it, and what an earlier process left uncounted.

The position in each file is stored together with what was counted up to there. So a process that is killed loses
nothing and counts nothing twice, and neither do several processes with the same log.
"""

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from proxy.callers.ledger.counts import Counts
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Counted, CountedMeanwhile, Ledger, Progress
from proxy.callers.ledger.proven import Clock, ProvenTokens
from proxy.callers.log.content import Damaged, chunks, is_plain, opened
from proxy.callers.log.files import NoLog, log_files
from proxy.callers.log.reader import LONGEST_LINE, Lines, last_change, whole_lines, without
from proxy.callers.log.unreadable import Neighbours, Unreadable
from proxy.callers.record import CLOCK_SKEW, EARLIEST
from proxy.output.diagnostics import log

_PART = 4 << 20
"""Bytes of a log that are counted in one transaction."""

_SLICE = 100
"""Lines after which other threads get their turn, which takes half a millisecond."""

_TOLERANCE = timedelta(seconds=2)
"""The times of files are only so exact."""

_BEING_WRITTEN = timedelta(minutes=1)
"""A file that was changed so recently may still be compressed, copied or appended to."""

_LONGEST_BEGINNING = 4096
"""Bytes of the first line that tell files apart."""

_ROTATION_PASSES = 10
"""After a rotation, a line may still be appended to the rotated file: it is looked at so many times."""


class FileFeeder:
    """Counts a log that is a file, and its rotated files. Of several processes with the same log, one does it.

    Args:
        path: of the log.
        ledger: where to count.
        now: the time, UTC.

    Attributes:
        backlog: bytes of the current file that are not counted.
    """

    def __init__(self, path: str, ledger: Ledger, now: Clock) -> None:
        self._path = path
        self._counter = FileCounter(ledger, now, is_live=True)
        self._descriptor: int | None = None
        self._identity: tuple[int, int] | None = None
        self._file: str | None = None
        self._skipped: set[str] = set()
        self.backlog, self._passes = 0, _ROTATION_PASSES

    def has_turn(self) -> bool:
        """See `keeper.Feeder`: whether this process holds the lock of the current file."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - the path is a string
            if self._identity != (found.st_dev, found.st_ino):
                self._follow()
        except FileNotFoundError:  # it is rotated at this moment
            self.backlog = 0
            return False
        return self._descriptor is not None

    def feed(self) -> None:
        """See `keeper.Feeder`."""
        try:
            self._count_all()
        except LedgerUnavailable:
            self._passes = _ROTATION_PASSES  # when it is back, it may lack what it had
            self._counter.forget()
            raise
        finally:
            size = os.fstat(self._descriptor).st_size if self._descriptor is not None else 0
            self.backlog = max(0, size - self._counter.position)

    def close(self) -> None:
        """See `keeper.Feeder`."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._identity = None

    def _follow(self) -> None:
        """Lock the current file, unless another process has it."""
        deleted = self._descriptor
        if deleted is not None and os.fstat(deleted).st_nlink == 0:
            self._count(f"/proc/self/fd/{deleted}", name=self._path)
        self.close()
        self.backlog = 0
        descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)  # NFS locks only what may be written
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:
                os.close(descriptor)
                return
            # This file system has no locks. Then several processes count, each part once nevertheless.
        found = os.fstat(descriptor)
        self._descriptor, self._identity = descriptor, (found.st_dev, found.st_ino)

    def _count_all(self) -> None:
        with contextlib.suppress(FileNotFoundError, NoLog):  # it is rotated at this moment
            for path in self._rotated():
                self._count(path)
        self._count(self._path, grows=True)

    def _rotated(self) -> list[str]:
        """The other files of the log, at the start and for a while after each rotation."""
        file = file_id(self._path, grows=True)
        if file != self._file:  # it was rotated, or copied and truncated
            self._file, self._passes = file, _ROTATION_PASSES
        if not self._passes:
            return []
        self._passes -= 1
        return [path for path in log_files(self._path) if not Path(path).samefile(self._path)]

    def _count(self, path: str, *, name: str | None = None, grows: bool = False) -> None:
        try:
            self._counter.count(path, name=name, grows=grows)
        except NoLog as problem:
            if Path(path).exists() and path not in self._skipped:  # it was not rotated at this moment
                self._skipped.add(path)
                log.warning("log_not_counted", reason=str(problem), message="let the proxy read it")


class FileCounter:
    """Counts files of the log, each from where it was counted before.

    Args:
        ledger: where to count.
        now: the time, UTC.
        is_live: whether a proxy writes the log: pause half of the time, for other threads, and leave the end of files
            for later that were changed a moment ago.

    Attributes:
        position: bytes that are counted of the growing file.
    """

    def __init__(self, ledger: Ledger, now: Clock, *, is_live: bool = False) -> None:
        self._ledger, self._now, self._is_live = ledger, now, is_live
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

    def count(self, path: str, *, name: str | None = None, grows: bool = False) -> int:
        """Count what is new in a file.

        Args:
            path: of the file.
            name: what it is called in reports, if not by its path.
            grows: whether more may be appended: then a last line that is not complete is left for later.

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
                return (
                    self._count_growing(file, path, stream) if grows else self._count_done(file, name or path, stream)
                )
            except CountedMeanwhile:
                self.forget()
                return 0

    def _count_growing(self, file: str, path: str, stream: io.BufferedReader) -> int:
        position = self._growing
        if position is not None and position.file == file:
            stream.seek(position.end)
        else:
            position = self._growing = _Position(file, path, self._ledger.counted(file), stream)
        return self._count_from(position, stream, is_complete=False)

    def _count_done(self, file: str, name: str, stream: io.BufferedReader) -> int:
        """Count a file that nobody appends to."""
        found = os.fstat(stream.fileno())
        identity, state = (found.st_dev, found.st_ino), (found.st_size, found.st_mtime_ns)
        if self._done.get(identity) == state:
            return 0
        counted, changed = self._ledger.counted(file), last_change(stream)
        # A log that somebody names may be the whole one of which a damaged copy was counted.
        if self._is_live and counted.position and changed is not None and changed < counted.at - _TOLERANCE:
            return 0
        position = _Position(file, name, counted, stream)
        is_complete = not self._is_live or changed is None or abs(self._now() - changed) > _BEING_WRITTEN
        number = self._count_from(position, stream, is_complete=is_complete)
        if is_complete:  # even if nothing was new, it need not be read again
            self._add(position, Counts(self._proven.strangers()), 0)
        self._done[identity] = state
        return number

    def _count_from(self, position: "_Position", stream: io.BufferedReader, *, is_complete: bool) -> int:
        number = 0
        try:
            for lines, size in _parts(position.rest(stream), is_complete=is_complete):
                number += self._count_part(position, lines, size, last_change(stream))
        except Damaged:
            if number or position.is_new:  # else it was added before; it is stored only if it is complete
                position.lines.neighbours.add(None)
        if is_complete:
            position.lines.end(last_change(stream))
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
        position.lines.neighbours.end(changed)
        self._add(position, counts, size)
        return number

    def _add(self, position: "_Position", counts: Counts, size: int) -> None:
        begin, end = position.end, position.end + size
        progress = Progress(position.file, position.name, begin, end, self._now(), position.lines.number)
        self._ledger.add(counts, position.unreadable, progress)
        position.end = end
        position.unreadable.days.clear()


class _Position:
    """How far a file is counted.

    Args:
        file: the ID of the file.
        name: what it is called in reports.
        counted: how much of it was counted before.
        stream: is moved to what was not.

    Attributes:
        end: bytes that are counted.
        is_new: whether nobody has counted any of it before.
        lines: finds the records.
        unreadable: what was not added to the ledger yet.
    """

    def __init__(self, file: str, name: str, counted: Counted, stream: io.BufferedReader) -> None:
        self.file, self.name, self.end = file, name, counted.position
        self.is_new = counted.at <= EARLIEST
        self.unreadable = Unreadable()
        self.lines = Lines(Neighbours(self.unreadable, name))
        self._skip = 0
        if is_plain(stream):
            stream.seek(counted.position)
            self.lines.number = counted.lines
        else:
            self._skip = counted.position

    def rest(self, stream: io.BufferedReader) -> Iterator[bytes]:
        """The content that is not counted."""
        return without(chunks(stream), self._skip, self.lines) if self._skip else chunks(stream)


def _parts(content: Iterator[bytes], *, is_complete: bool) -> Iterator[tuple[list[bytes], int]]:
    """Lines for one transaction each, and the number of their bytes."""
    part: list[bytes] = []
    begin = end = 0
    try:
        for lines, line_end in whole_lines(content, LONGEST_LINE):
            if not is_complete and lines and not lines[-1].endswith((b"\n", b"\0")):
                break
            part += lines
            end = line_end
            if end - begin >= _PART:
                yield part, end - begin
                part, begin = [], end
    except Damaged:
        yield part, end - begin
        raise
    if end > begin:
        yield part, end - begin


def file_id(path: str, *, grows: bool = False) -> str | None:
    """What a file is known by, whatever it is called and however it is compressed: a digest of its first line.

    Args:
        path: of the file.
        grows: whether more may be appended.

    Returns:
        None if there is no first line yet.

    Raises:
        NoLog: the file cannot be read.
    """
    begin = b""
    with contextlib.suppress(Damaged), opened(path) as stream:
        for chunk in chunks(stream):
            begin = (begin + chunk).lstrip(b"\r\n")
            if b"\n" in begin or len(begin) > _LONGEST_BEGINNING:
                break
        else:
            if grows:
                return None
    line = begin.partition(b"\n")[0][:_LONGEST_BEGINNING]
    if not line:  # damaged from its begin on
        with open(path, "rb") as file:  # noqa: PTH123 - the log is a string
            line = file.read(_LONGEST_BEGINNING)
    return hashlib.sha256(line).hexdigest()[:32] if line else None
