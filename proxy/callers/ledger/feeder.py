"""Counts the caller log into the ledger: what is appended to it, and what an earlier process left uncounted.

The position in each file is stored together with what was counted up to there. So a process that is killed loses
nothing and counts nothing twice, and neither do several processes with the same log.
"""

import contextlib
import fcntl
import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from proxy.callers.ledger.counts import Counts, Strangers
from proxy.callers.ledger.ledger import CountedMeanwhile, Ledger, Progress
from proxy.callers.log.content import Damaged, chunks, opened
from proxy.callers.log.files import NoLog, log_files
from proxy.callers.log.reader import LONGEST_LINE, Lines, last_change, whole_lines, without
from proxy.callers.log.unreadable import Neighbours, Unreadable
from proxy.callers.record import CLOCK_SKEW

Clock = Callable[[], datetime]

_PART = 4 << 20
"""Bytes of a log that are counted in one transaction."""

_TOLERANCE = timedelta(seconds=2)
"""The times of files are only so exact."""

_LONGEST_BEGINNING = 4096
"""Bytes of the first line that tell files apart."""

_PATIENCE = 2.0
"""Seconds to wait at the end for another process that counts."""

_ROTATION_PASSES = 10
"""After a rotation, a line may still be appended to the rotated file: it is looked at so many times."""


class FileFeeder:
    """Counts a log that is a file, and its rotated files. Of several processes with the same log, one does it.

    Args:
        log: path of the log.
        ledger: where to count.
        now: the time, UTC.

    Attributes:
        backlog: bytes of the current file that are not counted.
    """

    def __init__(self, log: str, ledger: Ledger, now: Clock) -> None:
        self._log = log
        self._counter = FileCounter(ledger, now, is_patient=True)
        self._lock: int | None = None
        self._identity: tuple[int, int] | None = None
        self.backlog = self._size = self._passes = 0

    def feed(self) -> None:
        """See `keeper.Feeder`."""
        self._is_counted()

    def finish(self) -> None:
        """See `keeper.Feeder`. Waits a moment for another process that counts and ends, too."""
        deadline = time.monotonic() + _PATIENCE
        try:
            while not self._is_counted() and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._lock = self._identity = None

    def _is_counted(self) -> bool:
        """Count what is new, unless another process does it."""
        with contextlib.suppress(FileNotFoundError, NoLog):  # it was rotated at this moment
            if not self._is_locked():
                return False
            for path in self._rotated():
                self._counter.count(path)
            self.backlog = self._size - self._counter.position
            self._counter.count(self._log, grows=True)
            self.backlog = 0
        return True

    def _is_locked(self) -> bool:
        """Whether this process is the one that counts: it holds the lock of the current file."""
        found = os.stat(self._log)  # noqa: PTH116 - the log is a string
        if self._identity == (found.st_dev, found.st_ino):
            self._passes = _ROTATION_PASSES if found.st_size < self._size else self._passes  # copied and truncated
            self._size = found.st_size
            return True
        self._unlock()
        descriptor = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        found = os.fstat(descriptor)
        self._lock, self._identity = descriptor, (found.st_dev, found.st_ino)
        self._size, self._passes = found.st_size, _ROTATION_PASSES
        return True

    def _rotated(self) -> list[str]:
        """The other files of the log, at the start and for a while after each rotation."""
        if not self._passes:
            return []
        self._passes -= 1
        return [path for path in log_files(self._log) if not Path(path).samefile(self._log)]


class FileCounter:
    """Counts files of the log, each from where it was counted before.

    Args:
        ledger: where to count.
        now: the time, UTC.
        is_patient: pause as long as each part takes, for other threads.

    Attributes:
        position: bytes that are counted of the file that was counted last.
    """

    def __init__(self, ledger: Ledger, now: Clock, *, is_patient: bool = False) -> None:
        self._ledger, self._now, self._is_patient = ledger, now, is_patient
        self._strangers: Strangers | None = None
        self._growing: _Position | None = None
        self.position = 0

    def count(self, path: str, *, grows: bool = False) -> int:
        """Count what is new in a file.

        Args:
            path: of the file.
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
            position = self._position(file, path, stream, grows=grows)
            if position is None:
                return 0
            self._growing = None  # until all of it is counted
            try:
                number = self._count_from(position, stream, grows=grows)
            except CountedMeanwhile:
                return 0
            self._growing = position if grows else None
        return number

    def _position(self, file: str, path: str, stream: io.BufferedReader, *, grows: bool) -> "_Position | None":
        """Where to begin; None if the file has not changed since it was counted."""
        if grows and self._growing is not None and self._growing.file == file:
            stream.seek(self._growing.end)
            return self._growing
        end, at = self._ledger.counted(file)
        changed = last_change(stream)
        if end and not grows and changed is not None and changed < at - _TOLERANCE:
            return None
        self.position = end
        return _Position(file, path, end)

    def _count_from(self, position: "_Position", stream: io.BufferedReader, *, grows: bool) -> int:
        number = 0
        try:
            for lines, end in _parts(position.rest(stream), grows=grows):
                started = time.monotonic()
                number += self._count_part(position, lines, end, last_change(stream))
                if self._is_patient and end > _PART:
                    time.sleep(time.monotonic() - started)
        except Damaged:
            position.lines.neighbours.add(None)
        if not grows:
            position.lines.end(last_change(stream))
        if position.unreadable.days:
            self._ledger.add(Counts(self._bounds()), position.unreadable)
        return number

    def _count_part(self, position: "_Position", lines: list[bytes], end: int, changed: datetime | None) -> int:
        now, counts = self._now(), Counts(self._bounds())
        records, found = position.lines.records_in(lines)
        counts.add(records, found, now + CLOCK_SKEW)
        position.lines.neighbours.end(changed)
        progress = Progress(position.file, position.path, position.end, position.begin + end, now)
        self._ledger.add(counts, position.unreadable, progress)
        position.unreadable.days.clear()
        position.end = self.position = progress.end
        return len(records)

    def _bounds(self) -> Strangers:
        if self._strangers is None:
            self._strangers = Strangers(self._ledger.proven_tokens())
        return self._strangers


class _Position:
    """How far a file is counted.

    Attributes:
        begin: bytes that were counted before this pass.
        end: bytes that are counted.
    """

    def __init__(self, file: str, path: str, end: int) -> None:
        self.file, self.path = file, path
        self.begin = self.end = end
        self.unreadable = Unreadable()
        self.lines = Lines(Neighbours(self.unreadable, path))
        self._is_new = True

    def rest(self, stream: io.BufferedReader) -> Iterator[bytes]:
        """The content that is not counted. The lines before it are numbered first."""
        content = without(chunks(stream), self.end, self.lines) if self._is_new else chunks(stream)
        self.begin, self._is_new = self.end, False
        return content


def _parts(content: Iterator[bytes], *, grows: bool) -> Iterator[tuple[list[bytes], int]]:
    """Lines for one transaction each, and the number of bytes up to their end."""
    part: list[bytes] = []
    begin = end = 0
    for lines, line_end in whole_lines(content, LONGEST_LINE):
        if grows and lines and not lines[-1].endswith((b"\n", b"\0")):
            break
        part += lines
        end = line_end
        if end - begin >= _PART:
            yield part, end
            part, begin = [], end
    if end > begin:
        yield part, end


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
            begin += chunk
            if b"\n" in chunk or len(begin) > _LONGEST_BEGINNING:
                break
        else:
            if grows:
                return None
    line = begin.partition(b"\n")[0][:_LONGEST_BEGINNING]
    return hashlib.sha256(line).hexdigest()[:32] if line else None
