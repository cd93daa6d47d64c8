"""Where lines go: each whole, with one ``write``."""

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Protocol

_MODE = 0o640


class Sink(Protocol):
    """Takes lines."""

    def append(self, line: bytes) -> None:
        """Write one line.

        Raises:
            OSError: it was not written whole.
        """

    def close(self) -> None:
        """Take no more."""


class Descriptor:
    """Takes lines for a descriptor, which stays open."""

    _descriptor = -1
    _torn = False
    _takes_turns = False

    def append(self, line: bytes) -> None:
        """Write one line.

        Raises:
            OSError: it was not written whole.
        """
        if self._torn:  # the disk was full in the middle of a line: do not glue this one to the fragment
            line = b"\n" + line
        written = self._in_turn(line) if self._takes_turns else os.write(self._descriptor, line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(f"{written} of {len(line)} bytes written")

    def close(self) -> None:
        """Take no more."""

    def _use(self, descriptor: int) -> None:
        self._descriptor = descriptor
        kind = os.fstat(descriptor).st_mode
        # A line that does not fit into a pipe goes there bit by bit, and another worker's would get in between.
        self._takes_turns = (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)) and _can_be_locked(descriptor)

    def _in_turn(self, line: bytes) -> int:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            return os.write(self._descriptor, line)
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _can_be_locked(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_UN)
    except OSError:
        return False
    return True


class StandardOutput(Descriptor):
    """The caller log of a container: lines to standard output, which somebody else keeps.

    Raises:
        OSError: on construction, where it is closed.
    """

    def __init__(self) -> None:
        self._use(1)


class AppendedFile(Descriptor):
    """A file that grows by lines, and may be renamed away at any time.

    Raises:
        OSError: on construction, where the file cannot be opened for appending.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)  # os.stat takes it twice as fast
        self._open()
        self._doubtful = True  # whether it ends with a whole line

    def append(self, line: bytes) -> None:
        """Write one line, to a new file where the last one was renamed away.

        Raises:
            OSError: it was not written whole.
        """
        self._follow_rotation()
        if self._doubtful:
            self._torn = self._ends_in_a_fragment()
        self._doubtful = True
        super().append(line)
        self._doubtful = False

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def _open(self) -> None:
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._use(descriptor)
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._doubtful = False

    def _follow_rotation(self) -> None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - half the time of Path.stat, on every call
        except FileNotFoundError:
            self._open()
        else:
            if (status.st_dev, status.st_ino) != self._identity:
                self._open()

    def _ends_in_a_fragment(self) -> bool:
        while True:
            status = os.fstat(self._descriptor)
            if not stat.S_ISREG(status.st_mode):
                return self._torn
            size = status.st_size
            if size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n":
                return False
            # Another worker may be in the middle of a line. Most file systems have this wait until it is not; where one
            # does not, an empty line may come between the two.
            with contextlib.suppress(OSError):
                os.lseek(self._descriptor, size - 1, os.SEEK_DATA)
            if os.fstat(self._descriptor).st_size == size:
                return True
