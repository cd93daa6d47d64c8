"""SIGHUP, SIGINT and SIGTERM while the proxy starts: they are blocked, so none is lost and none kills it halfway.

A handler in Python is not enough. It runs between two steps of the main thread, so a signal that arrives just before a
blocking system call has to wait for the end of that call. And Linux drops a signal for the first process of a container
that has neither a handler for it nor blocks it.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable

STOP = frozenset({signal.SIGINT, signal.SIGTERM})
HELD = STOP | {signal.SIGHUP}


def hold() -> None:
    """Block the signals in this thread, and in the threads and processes that it starts: they wait."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)


def release(numbers: frozenset[signal.Signals] = HELD) -> None:
    """Unblock the signals in this thread; those that waited arrive now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


class Stop:
    """Holds the signals, and waits in a thread for SIGINT and SIGTERM. They end the process until `call` is called.

    A start has nothing to finish, and could not finish it where it hangs in a system call.
    """

    def __init__(self) -> None:
        hold()
        self._handler: Callable[[], object] = _exit
        threading.Thread(target=self._wait, daemon=True).start()

    def set_handler(self, handler: Callable[[], object]) -> None:
        """From now on, call this for each signal, in the thread that waits for them."""
        self._handler = handler

    def _wait(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the process about to end
            while True:
                signal.sigwait(STOP)
                self._handler()


def _exit() -> None:
    os._exit(0)
