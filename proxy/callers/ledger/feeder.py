"""Counts the caller log into the ledger while a proxy writes it, and what an earlier process left uncounted."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.file_counter import FileCounter
from proxy.callers.ledger.file_id import file_id
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.proven import Clock
from proxy.callers.log.files import NoLog, log_files
from proxy.output.diagnostics import log

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
        self._counter = FileCounter(ledger, now, _warn, is_live=True)
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


def _warn(text: str) -> None:
    log.warning("log_counted_twice", message=text)
