"""Counts the caller log into the ledger where nothing keeps it: if it is standard output."""

import itertools
import threading
from collections import deque

from proxy.callers.ledger.counts import Counts
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.proven import Clock, ProvenTokens
from proxy.callers.ledger.tables.files import CountedMeanwhile, Progress
from proxy.callers.log.envelope import decode
from proxy.callers.record import CLOCK_SKEW, Heartbeat, ReportedCall

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
        self._proven = ProvenTokens(ledger, now)
        self._lines: deque[bytes] = deque()
        self._lock = threading.Lock()  # for the lines, the backlog and the number of those that were dropped
        self._lost = self._counted = self._batch = 0

    def put(self, line: bytes) -> None:
        """Keep a line. If too many are kept already, it is dropped: the next heartbeat says so."""
        with self._lock:
            if self.backlog + len(line) > BACKLOG:
                self._lost += 1
            else:
                self._lines.append(line)
                self.backlog += len(line)

    def has_turn(self) -> bool:
        """See `keeper.Feeder`: nobody else has these lines."""
        return True

    def feed(self) -> None:
        """See `keeper.Feeder`."""
        end = self._counted + len(self._lines)  # what comes meanwhile waits for the next pass
        while self._counted < end and self._lines:
            # A batch that failed is tried again as it was: it may have been counted, and only the reply was lost.
            self._batch = self._batch or min(len(self._lines), _PART)
            lines = list(itertools.islice(self._lines, self._batch))
            counts, now = Counts(self._proven.strangers()), self._now()
            counts.add([_record(line) for line in lines], lines, now + CLOCK_SKEW)
            lost = self._lost if counts.heartbeats else 0
            if lost:
                counts.heartbeats[-1].lost += lost
            progress = Progress(self._name, "-", self._counted, self._counted + len(lines), now)
            try:
                self._ledger.add(counts, progress=progress)
            except CountedMeanwhile:
                counted = self._ledger.counted(self._name)
                known = counted.position if counted is not None else 0
                if known != progress.end:  # the ledger was replaced by an older copy
                    self._lost += self._counted - known
                    self._counted = known
                    continue
            self._remove(lines, lost)

    def close(self) -> None:
        """See `keeper.Feeder`."""

    def _remove(self, lines: list[bytes], lost: int) -> None:
        self._counted += len(lines)
        self._batch = 0
        with self._lock:
            self._lost -= lost
            for _ in lines:
                self.backlog -= len(self._lines.popleft())


def _record(line: bytes) -> ReportedCall | Heartbeat:
    record = decode(line)
    if isinstance(record, ReportedCall) and record.outcome == "interrupted":
        # Its process was killed: what else that had not counted yet is a gap, which this record must not hide.
        record.instance = None
    return record
