"""Keeps the ledger up to date while the proxy serves, in a thread of its own.

Where the log is a file, the thread reads it. Where it is standard output, the thread gets the lines.
"""

import enum
import random
import threading
import time
from collections.abc import Callable
from typing import Protocol

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.output.diagnostics import log

INTERVAL = 1.0
"""Seconds between two passes."""

_SHARE = 50
"""Passes that come sooner than each second take at most one part in so many of the time."""

_LONGEST_PAUSE = 30.0
"""Seconds until the ledger is tried again, at most."""

_FLUSH = 3.0
"""Seconds that `close` waits for the last pass; workers are killed if they take longer than five."""

_TURN = 2.0
"""Seconds that the last pass waits for another process that counts the same log."""


class Feeder(Protocol):
    """Brings the ledger up to date.

    Attributes:
        backlog: bytes of the log that are not counted.
    """

    backlog: int

    def has_turn(self) -> bool:
        """Whether this process is the one that counts.

        Raises:
            LedgerUnavailable: it is not known.
        """

    def feed(self) -> None:
        """Count what is new.

        Raises:
            LedgerUnavailable: it is not counted yet.
        """

    def close(self) -> None:
        """Let others count."""


class State(enum.Enum):
    """What is known about the ledger."""

    IDLE = "another process counts, or nothing was counted yet"
    UP_TO_DATE = "the last pass counted everything"
    UNAVAILABLE = "the last pass failed; that was reported"


class Keeper:
    """Feeds the ledger at least each second, sooner if there is time, and after a failure ever more rarely.

    Args:
        ledger: is opened before the first pass, and closed after the last.
        feeder: counts what is new.
        on_pass: called from the thread after each pass, with the state and the bytes of the log that are not counted.
        maintain: called from the thread after each pass that counted.
        flush: called from the thread after each pass, and at the end with True.

    Attributes:
        state: what is known about the ledger.
    """

    def __init__(
        self,
        ledger: Ledger,
        feeder: Feeder,
        on_pass: Callable[[State, int], None],
        maintain: Callable[[], None] = lambda: None,
        flush: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.state = State.IDLE
        self._ledger, self._feeder, self._on_pass, self._maintain = ledger, feeder, on_pass, maintain
        self._flush = flush
        self._is_open, self._took = False, 0.0
        self._stop, self._news = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Note that a line was written."""
        if not self._news.is_set():  # which is faster
            self._news.set()

    def close(self) -> None:
        """Count what was written so far, and end. Waits no longer than a few seconds for the database."""
        self._stop.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(_FLUSH)

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.is_set():
            self._news.clear()
            self._pass()
            if self.state is State.UNAVAILABLE:
                pause = min(max(2 * pause, INTERVAL), _LONGEST_PAUSE)
                self._stop.wait(pause)
            else:
                pause = _spread(INTERVAL)
                least = min(pause, _SHARE * self._took)
                if not self._stop.wait(least):
                    self._news.wait(pause - least)
        deadline = time.monotonic() + _TURN
        while not self._pass() and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            self._flush(True)
        except Exception as fault:
            self._failed(_own(fault))
        self._feeder.close()
        self._ledger.close()

    def _pass(self) -> bool:
        """Count what is new. Returns whether there is no need to wait for another process that counts."""
        state = State.IDLE
        try:
            if self._feeder.has_turn():
                self._feed()
                state = State.UP_TO_DATE
            self._flush(False)
        except LedgerUnavailable as problem:
            state = self._failed(str(problem))
        except Exception as fault:
            state = self._failed(_own(fault))
        if self.state is State.UNAVAILABLE and state is State.UP_TO_DATE:
            log.info("ledger_available")
        if state is not State.IDLE or self.state is not State.UNAVAILABLE:
            self.state = state
        self._on_pass(state, self._feeder.backlog)
        return state is not State.IDLE

    def _feed(self) -> None:
        if not self._is_open:
            self._ledger.open()
            self._is_open = True
        began = time.monotonic()
        self._feeder.feed()
        self._took = time.monotonic() - began
        self._maintain()

    def _failed(self, reason: str) -> State:
        if self.state is not State.UNAVAILABLE:
            log.warning("ledger_unavailable", reason=reason, message="calls go on, and are counted once it is back")
        self._is_open = False  # when it is back, it may be another one
        return State.UNAVAILABLE


def _own(fault: Exception) -> str:
    return f"a fault of the proxy itself: {type(fault).__name__}"


def _spread(seconds: float) -> float:
    """A time around this one, so that processes that started together do not all write at once."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - nobody gains from guessing it
