"""Blocks SIGHUP, SIGINT and SIGTERM while the proxy starts, so that none is lost and none kills it halfway.

A handler in Python is not enough. It runs between two steps of the main thread, so a signal that arrives just before a
blocking system call waits for the end of that call. And for the first process of a container, Linux drops signals that
have no handler and are not blocked.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable

STOP = frozenset({signal.SIGINT, signal.SIGTERM})
HELD = STOP | {signal.SIGHUP}


def hold() -> None:
    """Block the signals in this thread, and in the threads and processes that it starts. They stay pending."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)


def release(numbers: frozenset[signal.Signals] = HELD) -> None:
    """Unblock the signals in this thread. Pending ones arrive now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


class Stop:
    """Blocks the signals, and waits for SIGINT and SIGTERM in a thread.

    Without a handler they end the process at once: a start has nothing to finish, and may hang in a system call.
    """

    def __init__(self) -> None:
        hold()
        self._handler: Callable[[], object] = _exit
        threading.Thread(target=self._wait, daemon=True).start()

    def set_handler(self, handler: Callable[[], object]) -> None:
        """Call this for each signal from now on, in the thread that waits for them."""
        self._handler = handler

    def _wait(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, since the process is about to end
            while True:
                signal.sigwait(STOP)
                self._handler()


def _exit() -> None:
    os._exit(0)
