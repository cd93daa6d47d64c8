"""Standard error: it may be full, closed or read by nobody, and no call is hurt."""

import asyncio
import atexit
import contextlib
import sys
import threading

from proxy.errors import PROXY
from proxy.output.sink import Descriptor
from proxy.output.writer import Done, Writer


class StandardError:
    """Takes lines for standard error. Who must not wait has them written from a thread of their own."""

    def __init__(self) -> None:
        self._stream = _Stream()
        self._writer: Writer | None = None
        self._turn, self._counting = threading.Lock(), threading.Lock()
        self._lost = 0
        atexit.register(self._close)

    def append(self, line: bytes) -> None:
        """Write a line; where that does not work it is lost."""
        with self._turn:
            if self._writer is None and not _may_wait():
                with contextlib.suppress(OSError):  # no descriptors are left
                    self._writer = Writer(self._stream, self)
            if self._writer is not None:
                self._writer.append(line)
            else:
                with contextlib.suppress(OSError):
                    self._stream.append(line)

    info = warning = error = append

    def settled(self, _line: bytes, _done: Done | None, problem: str | None) -> None:
        """Hear of the writer that a line is written, or is lost."""
        if problem is not None:
            with self._counting:
                self._lost += 1

    def stalls(self) -> None:
        """Hear of the writer that nobody waits for it: there is nowhere to say so."""

    def goes_on(self, _late: int) -> None:
        """Hear of the writer that everything is written, and say what is not."""
        with self._counting:
            lost, self._lost = self._lost, 0
        if lost:
            with contextlib.suppress(OSError):
                self._stream.append(f"{PROXY}: warning: standard error stalled, and lost lines: {lost}\n".encode())

    def _close(self) -> None:
        with self._turn:
            if self._writer is not None:
                self._writer.close()


def _may_wait() -> bool:
    """Whether nobody but the operator is kept waiting here: not by a loop, nor by a thread beside it."""
    if threading.current_thread() is not threading.main_thread():
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


class _Stream(Descriptor):
    """Whatever standard error is at the moment: tests and supervisors replace it."""

    def append(self, line: bytes) -> None:
        """Write one line.

        Raises:
            OSError: it was not written whole: standard error is full, closed, or was never there.
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
    """Write to what has no descriptor."""
    try:
        sys.stderr.write(line.decode())
        sys.stderr.flush()
    except (AttributeError, ValueError) as error:
        raise OSError("there is no standard error") from error
