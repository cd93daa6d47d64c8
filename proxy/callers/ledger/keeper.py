"""Keeps the ledger up to date while the proxy serves, in a thread of its own.

Where the log is a file, the thread reads it. Where it is standard output, the thread gets the lines.
"""

import enum
import threading
from collections.abc import Callable
from typing import Protocol

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.output.diagnostics import log

INTERVAL = 1.0
"""Seconds between two passes."""

_LONGEST_PAUSE = 30.0
"""Seconds until the ledger is tried again, at most."""

_FLUSH = 5.0
"""Seconds that `close` waits for the last pass."""


class Feeder(Protocol):
    """Brings the ledger up to date.

    Attributes:
        backlog: bytes of the log that are not counted.
    """

    backlog: int

    def feed(self) -> None:
        """Count what is new.

        Raises:
            LedgerUnavailable: it is not counted yet.
        """

    def finish(self) -> None:
        """Count what is left at the end of the process, and let others count.

        Raises:
            LedgerUnavailable: it is not counted.
        """


class State(enum.Enum):
    """What is known about the ledger."""

    NEW = "it was not opened yet"
    UP_TO_DATE = "the last pass counted everything"
    UNAVAILABLE = "the last pass failed; that was reported"


class Keeper:
    """Feeds the ledger each second, and after a failure ever more rarely.

    Args:
        ledger: is opened before the first pass, and closed after the last.
        feeder: counts what is new.
        on_pass: called from the thread after each pass, with whether it succeeded and with the bytes of the log that
            are not counted.

    Attributes:
        state: what is known about the ledger.
    """

    def __init__(self, ledger: Ledger, feeder: Feeder, on_pass: Callable[[bool, int], None]) -> None:
        self.state = State.NEW
        self._ledger, self._feeder, self._on_pass = ledger, feeder, on_pass
        self._is_open = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Count what was written so far, and end. Waits no longer than a few seconds for the database."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_FLUSH)

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            self._pass(self._feeder.feed)
            pause = INTERVAL if self.state is State.UP_TO_DATE else min(max(2 * pause, INTERVAL), _LONGEST_PAUSE)
        self._pass(self._feeder.finish)
        self._ledger.close()

    def _pass(self, feed: Callable[[], None]) -> None:
        try:
            if not self._is_open:
                self._ledger.open()
                self._is_open = True
            feed()
        except LedgerUnavailable as problem:
            self._failed(str(problem))
        except Exception as fault:
            self._failed(f"a fault of the proxy itself: {type(fault).__name__}")
        else:
            if self.state is State.UNAVAILABLE:
                log.info("ledger_available")
            self.state = State.UP_TO_DATE
        self._on_pass(self.state is State.UP_TO_DATE, self._feeder.backlog)

    def _failed(self, reason: str) -> None:
        if self.state is not State.UNAVAILABLE:
            log.warning("ledger_unavailable", reason=reason, message="calls go on, and are counted once it is back")
        self.state = State.UNAVAILABLE
