"""Standard error, which may be full, closed or unread: no call waits for it or fails because of it."""

import asyncio
import atexit
import contextlib
import sys
import threading
from collections.abc import Callable

from proxy.output.sink import Descriptor
from proxy.output.writer import Done, Writer


class StandardError:
    """Writes lines to standard error, from a thread of its own where blocking is not acceptable.

    Args:
        lost_line: returns the line that reports how many lines were lost.
    """

    def __init__(self, lost_line: Callable[[int], bytes]) -> None:
        self._lost_line = lost_line
        self._stream = Stream()
        self._writer: Writer | None = None
        self._append_lock, self._count_lock = threading.Lock(), threading.Lock()
        self._lost = 0
        atexit.register(self._close)

    def append(self, line: bytes) -> None:
        """Write a line; it is lost if that fails."""
        with self._append_lock:
            if self._writer is None and not _may_block():
                with contextlib.suppress(OSError):  # no file descriptors are left
                    self._writer = Writer(self._stream, self)
            if self._writer is not None:
                self._writer.append(line)
            else:
                with contextlib.suppress(OSError):
                    self._stream.append(line)

    info = warning = error = critical = append

    def on_written(self, _line: bytes, _done: Done | None, problem: str | None) -> None:
        """Count a line that was lost."""
        if problem is not None:
            with self._count_lock:
                self._lost += 1

    def on_stall(self) -> None:
        """Do nothing: there is nowhere to report it."""

    def on_recovery(self, _late: int) -> None:
        """Report how many lines were lost."""
        with self._count_lock:
            lost, self._lost = self._lost, 0
        if lost:
            with contextlib.suppress(OSError):
                self._stream.append(self._lost_line(lost))

    def _close(self) -> None:
        with self._append_lock:
            if self._writer is not None:
                self._writer.close()


def _may_block() -> bool:
    """Whether blocking is acceptable in this thread: it is the main one, and runs no event loop."""
    if threading.current_thread() is not threading.main_thread():
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def is_terminal() -> bool:
    """Whether people read standard error."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # it is missing or closed
        return False


class Stream(Descriptor):
    """Whatever standard error is at the moment: tests replace it."""

    def append(self, line: bytes) -> None:
        """Write one line.

        Raises:
            OSError: it was not written in full: standard error is full, closed or missing.
        """
        try:
            descriptor = sys.stderr.fileno()
        except (AttributeError, OSError, ValueError):
            _print(line)
            return
        if descriptor != self._descriptor:
            self._use(descriptor)
        super().append(line)


def _print(line: bytes) -> None:
    """Write to a standard error that has no file descriptor."""
    try:
        sys.stderr.write(line.decode())
        sys.stderr.flush()
    except (AttributeError, ValueError) as error:
        raise OSError("there is no standard error") from error
