"""Connects the event loop with the ledger of lost tries, which it never waits for."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from proxy.callers.ledger.database import Database, Transaction
from proxy.callers.ledger.tries import EMPTY, Snapshot, Tries
from proxy.gateway.call.tries_threads import Operation, Outage, Watcher, Writer

GRACE = 5.0
"""Seconds for which a retry waits for a ledger that does not work."""

Connect = Callable[[], Database]
"""Makes a connection to the ledger, which opens when it is needed."""


class TriesLink:
    """The two threads that write and read lost tries, for the event loop.

    Args:
        connect: makes a connection.
        tries: makes the changes of this process, given a connection.
        holds: whether this process holds any row.
        adopt: called with what all processes know, in the event loop, whenever that has changed.

    Attributes:
        tries: the changes that can be made.
        snapshot: what all processes know.
    """

    def __init__(
        self,
        connect: Connect,
        tries: Callable[[Database], Tries],
        holds: Callable[[], bool],
        adopt: Callable[[Snapshot], None],
    ) -> None:
        self.snapshot = EMPTY
        self._on_change = adopt
        self._answered = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._outage, self._is_stopped = Outage(), False
        database = connect()
        self.tries = tries(database)
        self._writer = Writer(database, self.tries, holds, self._outage)
        self._watcher = Watcher(connect(), partial(self._soon, self._adopt), self._clean, self._outage)

    def start(self) -> None:
        """Connect to the ledger, in the background."""
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        self._watcher.start()

    async def stop(self) -> None:
        """Write what is left, and disconnect."""
        self._is_stopped = True
        await asyncio.to_thread(self._writer.stop)
        await asyncio.to_thread(self._watcher.stop)

    @property
    def backlog(self) -> int:
        """How many changes are still to be made."""
        return self._writer.backlog

    @property
    def works(self) -> bool:
        """Whether the ledger could be used the last time."""
        return self._outage.since is None

    @property
    def is_down(self) -> bool:
        """Whether the ledger has not worked for so long that nobody waits for it."""
        since = self._outage.since
        return self._is_stopped or (since is not None and time.monotonic() - since >= GRACE)

    def put(self, row: int, apply: Callable[[Transaction], Any]) -> None:
        """Change a row soon."""
        self._writer.put(Operation(row, apply))

    def put_together(self, *operations: Operation) -> None:
        """Change several rows soon, in one transaction."""
        self._writer.put(*operations)

    def put_after_response(self, change: Callable[[], None]) -> None:
        """Call something that puts a change, once the response that was just sent has left the process."""
        self._loop.call_soon(change)

    async def ask(self, row: int, apply: Callable[[Transaction], Any]) -> Any:
        """The result of a change to a row.

        Raises:
            TimeoutError: the ledger is down or slow. The change may be made later.
        """
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._writer.put(Operation(row, apply, partial(self._soon, partial(_resolve, reply))))
        async with asyncio.timeout(GRACE):
            return await reply

    async def refresh(self) -> None:
        """Read what is in the ledger now. What is known may be a moment old.

        Raises:
            TimeoutError: the ledger does not work.
        """
        number = self._watcher.ask()
        while self._answered < number:
            await self.change()

    async def change(self) -> None:
        """Wait until the ledger was read again, because something has changed or for `refresh`.

        Raises:
            TimeoutError: the ledger does not work.
        """
        changed = self._loop.create_future()
        self._waiting.add(changed)
        try:
            await asyncio.wait([changed], timeout=GRACE)
        finally:
            self._waiting.discard(changed)
        if self.is_down:
            raise TimeoutError

    def _soon(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def _adopt(self, snapshot: Snapshot, answered: int) -> None:
        self.snapshot, self._answered = snapshot, answered
        self._on_change(snapshot)
        for changed in self._waiting:
            _resolve(changed, None)

    def _clean(self, dead: list[tuple[str, int | None]]) -> None:
        """Called in the thread that reads."""
        if self._writer.backlog:
            return  # for the next time
        for holder, beat in dead:
            self.put(0, partial(self.tries.bury, holder=holder, beat=beat))
        self.put(0, self.tries.purge)


def _resolve(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)
