"""Counts the caller log into the ledger where nothing keeps it: if it is standard output."""

import contextlib
import threading
from collections import deque

from proxy.callers.ledger.counts import Counts, Strangers
from proxy.callers.ledger.feeder import Clock
from proxy.callers.ledger.ledger import CountedMeanwhile, Ledger, Progress
from proxy.callers.log.envelope import decode
from proxy.callers.record import CLOCK_SKEW

BACKLOG = 32 << 20
"""Bytes of lines that are kept while the ledger cannot be reached."""

_PART = 5000
"""Lines that are counted in one transaction."""


class LineFeeder:
    """Keeps lines until they are counted.

    Args:
        name: of this process, different from all others.
        ledger: where to count.
        now: the time, UTC.

    Attributes:
        backlog: bytes of the lines that are not counted.
    """

    def __init__(self, name: str, ledger: Ledger, now: Clock) -> None:
        self.backlog = 0
        self._name, self._ledger, self._now = name, ledger, now
        self._lines: deque[bytes] = deque()
        self._lock = threading.Lock()  # for the lines, the backlog and the number of those that were dropped
        self._dropped = self._counted = 0
        self._strangers: Strangers | None = None

    def put(self, line: bytes) -> None:
        """Keep a line. If too many are kept already, it is dropped: the next heartbeat says so."""
        with self._lock:
            if self.backlog + len(line) > BACKLOG:
                self._dropped += 1
            else:
                self._lines.append(line)
                self.backlog += len(line)

    def feed(self) -> None:
        """See `keeper.Feeder`."""
        if self._strangers is None:
            self._strangers = Strangers(self._ledger.proven_tokens())
        while lines := [self._lines[index] for index in range(min(len(self._lines), _PART))]:
            counts, now = Counts(self._strangers), self._now()
            counts.add([decode(line) for line in lines], lines, now + CLOCK_SKEW)
            dropped = self._dropped if counts.heartbeats else 0
            if dropped:
                counts.heartbeats[-1].lost += dropped
            progress = Progress(self._name, "-", self._counted, self._counted + len(lines), now)
            # If it was counted, and only the reply of the database was lost, it is not counted again.
            with contextlib.suppress(CountedMeanwhile):
                self._ledger.add(counts, progress=progress)
            self._counted = progress.end
            with self._lock:
                self._dropped -= dropped
                for _ in lines:
                    self.backlog -= len(self._lines.popleft())

    def finish(self) -> None:
        """See `keeper.Feeder`."""
        self.feed()
