"""Where lines go: each is written whole, with a single ``write``."""

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Protocol

_MODE = 0o640
_FOLDER_MODE = 0o750


def make_folder(path: Path) -> None:
    """Create a folder, and those above it, that other users cannot enter, whatever the umask.

    Raises:
        OSError: it cannot be created.
    """
    for folder in reversed([each for each in (path, *path.parents) if not each.exists()]):
        with contextlib.suppress(FileExistsError):  # another worker was faster
            folder.mkdir()
            folder.chmod(_FOLDER_MODE)


class Sink(Protocol):
    """Takes lines."""

    def append(self, line: bytes) -> None:
        """Write one line.

        Raises:
            OSError: it was not written in full.
        """

    def close(self) -> None:
        """Take no more lines."""


class Descriptor:
    """Writes lines to a file descriptor that stays open."""

    _descriptor = -1
    _torn = False
    _is_shared = False

    def append(self, line: bytes) -> None:
        """Write one line.

        Raises:
            OSError: it was not written in full.
        """
        if self._torn:  # the last line was cut off: do not append this one to the fragment
            line = b"\n" + line
        written = self._write_locked(line) if self._is_shared else os.write(self._descriptor, line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(f"{written} of {len(line)} bytes written")

    def close(self) -> None:
        """Take no more lines."""

    def _use(self, descriptor: int) -> None:
        self._descriptor = descriptor
        kind = os.fstat(descriptor).st_mode
        # A line that does not fit into a pipe is written in parts, and other workers' lines would get in between.
        self._is_shared = (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)) and _can_be_locked(descriptor)

    def _write_locked(self, line: bytes) -> int:
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
    """The caller log of a container, whose runtime keeps standard output.

    Raises:
        OSError: on construction, if standard output is closed.
    """

    def __init__(self) -> None:
        self._use(1)


class AppendedFile(Descriptor):
    """A file that lines are appended to, and that may be rotated at any time.

    Raises:
        OSError: on construction, if the file cannot be opened for appending.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)  # os.stat is twice as fast with a str
        self._open()
        self._may_end_in_fragment = True

    def append(self, line: bytes) -> None:
        """Write one line, to a new file if the last one was renamed or deleted.

        Raises:
            OSError: it was not written in full.
        """
        self._follow_rotation()
        if self._may_end_in_fragment:
            self._torn = self._ends_in_fragment()
        self._may_end_in_fragment = True
        super().append(line)
        self._may_end_in_fragment = False

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def _open(self) -> None:
        make_folder(Path(self._path).parent)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._use(descriptor)
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._may_end_in_fragment = False

    def _follow_rotation(self) -> None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - twice as fast as Path.stat
        except FileNotFoundError:
            self._open()
        else:
            if (status.st_dev, status.st_ino) != self._identity:
                self._open()

    def _ends_in_fragment(self) -> bool:
        while True:
            status = os.fstat(self._descriptor)
            if not stat.S_ISREG(status.st_mode):
                return self._torn
            size = status.st_size
            if size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n":
                return False
            # Another worker may be in the middle of a line. On most file systems this call waits until it is done; on
            # the others there may be an empty line between the two.
            with contextlib.suppress(OSError):
                os.lseek(self._descriptor, size - 1, os.SEEK_DATA)
            if os.fstat(self._descriptor).st_size == size:
                return True
