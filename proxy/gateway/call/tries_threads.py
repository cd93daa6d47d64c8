"""The threads of `SharedTries`: one writes what this process knows of lost tries, the other reads what all know."""

import contextlib
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from proxy.callers.ledger import schema
from proxy.callers.ledger.database import Database, LedgerUnavailable, Transaction, wait_readable
from proxy.callers.ledger.tries import EMPTY, Pulse, Snapshot, Tries, read
from proxy.output.diagnostics import log

BEAT = 1.0
"""Seconds between two beats of a process that holds something."""

LEASE = 10.0
"""Seconds without a beat after which a process has died."""

POLL = 1.0
"""Seconds between two reads if nothing is heard of a change: some servers and poolers do not notify."""

RETRY = 1.0
"""Seconds after which a ledger that failed is tried again."""

BATCH = 100
"""Changes in one transaction at most."""

SHARE = 10
"""Reading takes at most one part in so many of the time, however fast lost tries change."""

STOP = 5.0
"""Seconds for which a stop waits for a slow ledger."""


class Outage:
    """Whether the ledger can be used. Logs when that changes.

    Attributes:
        since: when it failed, in seconds on the monotonic clock; None while it works.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self._failing: set[object] = set()
        self._lock = threading.Lock()

    def failed(self, user: object, problem: Exception) -> None:
        """Note that a thread could not use it. Whatever the reason is, the thread goes on."""
        reason = str(problem) if isinstance(problem, LedgerUnavailable) else type(problem).__name__
        with self._lock:
            if not self._failing:
                self.since = time.monotonic()
                log.warning(
                    "lost_tries_not_shared",
                    reason=reason,
                    message="until the ledger works again, a retry that reaches another process may start a second run",
                )
            self._failing.add(user)

    def worked(self, user: object) -> None:
        """Note that a thread could use it."""
        if user not in self._failing:
            return
        with self._lock:
            self._failing.discard(user)
            if not self._failing:
                self.since = None
                log.info("lost_tries_shared_again")


class Operation(NamedTuple):
    """A change to a row, and what is called with its result, in the thread of the writer."""

    row: int
    apply: Callable[[Transaction], Any]
    done: Callable[[Any], None] | None = None


class Writer:
    """Makes changes in their order, and keeps them while the ledger cannot be used.

    Args:
        database: for this thread alone.
        tries: the changes that the writer makes by itself.
        holds: whether this process holds any row.
        outage: shared by both threads.
    """

    def __init__(self, database: Database, tries: Tries, holds: Callable[[], bool], outage: Outage) -> None:
        self._database, self._tries, self._holds, self._outage = database, tries, holds, outage
        self._queue: deque[Sequence[Operation]] = deque()
        self._news = threading.Condition()
        self._stops = self._is_known = self._is_upgraded = False
        self._thread = threading.Thread(target=self._run, name="tries-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def backlog(self) -> int:
        """How many changes are still to be made."""
        return len(self._queue)

    def put(self, *operations: Operation) -> None:
        """Make some changes soon, all in one transaction."""
        with self._news:
            self._queue.append(operations)
            self._news.notify()

    def stop(self) -> None:
        """Make the changes that are left, and end. A ledger that cannot be used is not waited for."""
        with self._news:
            self._stops = True
            self._news.notify()
        self._thread.join(STOP)

    def _run(self) -> None:
        while self._wait():
            try:
                self._write()
            except Exception as problem:
                self._outage.failed(self, problem)
                with self._news:
                    if self._stops or self._news.wait_for(lambda: self._stops, RETRY):
                        break
            else:
                self._outage.worked(self)
        self._database.close()

    def _wait(self) -> bool:
        """Wait for something to do, and return False if there will be nothing more."""
        with self._news:
            if self._is_upgraded and not (self._queue or self._stops):
                self._news.wait(BEAT if self._is_known else None)
            return bool(self._queue) or not self._stops or (self._is_known and not self._holds())

    def _write(self) -> None:
        if not self._is_upgraded:
            schema.upgrade(self._database)
            self._is_upgraded = True
        with self._news:
            batch = list(itertools.islice(self._queue, BATCH))
        holds = self._holds()
        if not (batch or holds or self._is_known):
            return
        try:
            results = self._transact(batch, holds=holds)
        except LedgerUnavailable:  # an old connection was lost, or two processes have waited for each other
            results = self._transact(batch, holds=holds)
        self._is_known = holds
        with self._news:
            for _ in batch:
                self._queue.popleft()
        for operation, result in results:
            if operation.done is not None:
                operation.done(result)

    def _transact(self, batch: list[Sequence[Operation]], *, holds: bool) -> list[tuple[Operation, Any]]:
        with self._database.transaction(writes=True) as transaction:
            (self._tries.beat if holds else self._tries.leave)(transaction)
            # All processes lock rows in the same order, so that they do not wait for each other.
            operations = sorted(itertools.chain(*batch), key=lambda one: one.row)
            results = [(one, one.apply(transaction)) for one in operations]
            self._database.notify(transaction)
        return results


class Watcher:
    """Reads all rows whenever one may have changed.

    Args:
        database: for this thread alone.
        adopt: called with what was read if it has changed, or if it was asked for; and with how often that was. In the
            thread of the watcher.
        clean: called with the processes that have died and their last beats, if there are any or rows are too old.
        outage: shared by both threads.
    """

    def __init__(
        self,
        database: Database,
        adopt: Callable[[Snapshot, int], None],
        clean: Callable[[list[tuple[str, int | None]]], None],
        outage: Outage,
    ) -> None:
        self._database, self._adopt, self._clean, self._outage = database, adopt, clean, outage
        self._wake, self._alarm = os.pipe()
        os.set_blocking(self._wake, False)
        self._asked = self._answered = 0
        self._pulse = Pulse(LEASE, time.monotonic)
        self._snapshot = EMPTY
        self._stops = self._is_upgraded = False
        self._thread = threading.Thread(target=self._run, name="tries-watcher", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def ask(self) -> int:
        """Have it read once more, and return how often that was asked for."""
        self._asked += 1
        if not self._stops:
            os.write(self._alarm, b"x")
        return self._asked

    def stop(self) -> None:
        """End."""
        self._stops = True
        os.close(self._alarm)  # which wakes the thread
        self._thread.join(STOP)

    def _run(self) -> None:
        while not self._stops:
            try:
                self._watch()
            except Exception as problem:
                self._outage.failed(self, problem)
                self._pulse.forget()  # nobody could add a beat, either
                wait_readable([self._wake], RETRY)
            else:
                self._outage.worked(self)
        self._database.close()
        os.close(self._wake)

    def _watch(self) -> None:
        if not self._is_upgraded:
            schema.upgrade(self._database)
            self._is_upgraded = True
        self._database.wait(self._wake, POLL)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        began, asked = time.monotonic(), self._asked
        snapshot = read(self._database)
        if snapshot != self._snapshot or asked != self._answered:
            self._adopt(snapshot, asked)
        self._snapshot, self._answered = snapshot, asked
        dead = self._pulse.dead(snapshot)
        if dead or snapshot.has_expired:
            self._clean(dead)
        wait_readable([self._wake], min(POLL, (SHARE - 1) * (time.monotonic() - began)))
