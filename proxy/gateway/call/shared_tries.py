"""Shares lost tries with other processes, through the ledger.

A try whose caller may be gone is published. Its run, once there is one, belongs to the process that claims it in the
ledger, even if that is the one that has started it. Each process keeps a copy of what all have published, so calls need
not ask the ledger. If that is down or slow, no call fails, but a retry may start a second run.
"""

import asyncio
import contextlib
import enum
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from proxy import errors
from proxy.callers.ledger.database import Database, Transaction
from proxy.callers.ledger.tries import EMPTY, Known, Snapshot, Tries
from proxy.gateway.call.tries_threads import Operation, Outage, Watcher, Writer
from proxy.gateway.metrics import Metrics
from proxy.withdrawn.trigger import LegacyResponse

MAX_BACKLOG = 1024
"""How many changes may wait for the ledger before tries are no longer shared."""

MAX_BODY = 64 << 10
"""Bytes of a response that is shared."""

GRACE = 5.0
"""Seconds for which a retry waits for a ledger that does not work."""

Connect = Callable[[], Database]
"""Makes a connection to the ledger, which opens when it is needed."""


class Found(NamedTuple):
    """A run that a retry takes over, and its row in the ledger."""

    run: LegacyResponse
    row: int | None = None


class Claim(enum.Enum):
    """What became of a claim."""

    WON = "the run is for a retry in this process, once there is one"
    LOST = "the run is for another process, or there is none"
    UNKNOWN = "the ledger does not work"


class SharedTries:
    """The lost tries of all processes, as one of them knows them.

    Args:
        connect: makes a connection; None if there is no ledger.
        metrics: counts.
        window: seconds for which a run is kept.
        longest: seconds after which no call is under way any more.

    Attributes:
        known: by the key of their calls, the rows that may have a run for a retry in this process.
    """

    def __init__(self, connect: Connect | None, metrics: Metrics, *, window: float, longest: float) -> None:
        self.known: Mapping[bytes, Sequence[Known]] = {}
        self._metrics = metrics
        self._instance = secrets.token_hex(8)  # a process ID may come again
        self._snapshot, self._answered = EMPTY, 0
        self._owned: set[int] = set()
        self._claimed: set[int] = set()
        self._removed: set[int] = set()
        self._waiting: set[asyncio.Future[None]] = set()
        self._outage = Outage()
        self._is_used, self._is_open = connect is not None, False
        if connect is not None:
            database = connect()
            self._tries = Tries(database, self._instance, window, longest)
            self._writer = Writer(database, self._tries, lambda: bool(self._owned or self._claimed), self._outage)
            self._watcher = Watcher(connect(), partial(self._soon, self._adopt), self._clean, self._outage)

    def start(self) -> None:
        """Connect to the ledger, in the background."""
        if self._is_used:
            self._loop = asyncio.get_running_loop()
            self._writer.start()
            self._watcher.start()
            self._is_open = True

    async def stop(self) -> None:
        """Write what is left, and disconnect."""
        if self._is_open:
            self._is_open = False
            await asyncio.to_thread(self._writer.stop)
            await asyncio.to_thread(self._watcher.stop)

    def publish(self, key: bytes) -> int | None:
        """Tell all processes of a call under way whose caller may be gone.

        Returns:
            Its row, or None if it is not shared.
        """
        if not self._is_open:
            return None
        is_full = self._writer.backlog >= MAX_BACKLOG
        if is_full or self._outage.since is not None:
            self._metrics.count_unshared()
        if is_full:
            return None
        row = secrets.randbits(63)
        self._owned.add(row)
        self._put(row, partial(self._tries.publish, row=row, key=key))
        return row

    def end(self, row: int | None, claimed: int | None, run: LegacyResponse | None) -> int | None:
        """Tell all processes how a call ended.

        Args:
            row: from `publish`.
            claimed: the row of the run that the call took over.
            run: the run, if it is for a retry.

        Returns:
            The row under which a retry must claim the run.
        """
        if run is None:
            self.remove(row)
            if claimed is not None:  # and delivered: by then the response is on its way
                self._loop.call_soon(self.remove, claimed)
            return None
        if row is None or len(run.body) > MAX_BODY:
            if row is not None:
                self._metrics.count_unshared()
            self.remove(row)
            if claimed is not None:
                self.release(claimed)
            return claimed
        self._owned.discard(row)
        self._put(row, partial(self._settle, row=row, run=run, claimed=claimed))
        self._forget(claimed)
        return row

    def _settle(self, transaction: Transaction, row: int, run: LegacyResponse, claimed: int | None) -> None:
        self._tries.settle(transaction, row, run)
        if claimed is not None:  # in the same transaction, so that there is always one such row
            self._tries.remove(transaction, claimed)

    def remove(self, row: int | None) -> None:
        """Tell all processes that a row has nothing for a retry."""
        if row is not None:
            self._forget(row)
            self._put(row, partial(self._tries.remove, row=row))

    def release(self, row: int) -> None:
        """Let somebody else claim a row."""
        self._claimed.discard(row)
        self._put(row, partial(self._tries.release, row=row))

    def abandon(self, row: int) -> None:
        """Tell all processes that nobody will know whether a call has started a run."""
        self._owned.discard(row)
        self._put(row, partial(self._tries.abandon, row=row))

    def is_claimed(self, row: int | None) -> bool:
        """Whether another process has claimed a row."""
        known = self._snapshot.rows.get(row) if row is not None else None
        return known is not None and known.claimant not in {None, self._instance}

    async def claim(self, row: int) -> Claim:
        """Claim the run of a row for a retry in this process. If it is cancelled, it leaves no claim."""
        if self._is_down:
            return Claim.UNKNOWN
        self._claimed.add(row)
        try:
            if await self._ask(row, partial(self._tries.claim, row=row)):
                return Claim.WON
            self._claimed.discard(row)
            await self._refresh()  # whoever lost must see what the winner has done
        except TimeoutError:
            return Claim.UNKNOWN
        except asyncio.CancelledError:
            self.release(row)
            raise
        return Claim.LOST

    async def take_over(self, key: bytes, own: Callable[[], int | None]) -> Found | None:
        """Claim the run of an earlier try. Waits while that is under way and its process is alive.

        Args:
            key: of the call.
            own: the row of the call itself, if it has one by now. It waits only for those that were published before.

        Returns:
            The run, or None if there is nothing to wait for.

        Raises:
            errors.ConnectionLost: the process that had the earlier try has died.
        """
        beats: dict[str, int] = {}
        try:
            while (row := self._next(key, own(), beats)) is not None:
                if row.is_orphan:
                    raise errors.ConnectionLost(
                        "The proxy that had an earlier call with the same token, path and body died."
                    )
                if (found := await self._take_over(row, beats)) is not None:
                    self._metrics.count_taken_over()
                    return found
        except TimeoutError:
            self._metrics.count_unshared()
        return None

    async def _take_over(self, row: Known, beats: dict[str, int]) -> Found | None:
        """The run of a row, or None once more is known than before.

        Raises:
            TimeoutError: the ledger does not work.
        """
        if row.claimant in beats:
            await self._change()
        elif row.claimant is not None:
            await self._refresh()
            beats[row.claimant] = self._snapshot.beats.get(row.claimant, 0)
        elif (claim := await self.claim(row.id)) is Claim.WON:
            run = await self._run(row.id)
            return Found(run, row.id) if run is not None else None
        elif claim is Claim.UNKNOWN:
            self.release(row.id)
            raise TimeoutError
        return None

    def _next(self, key: bytes, own: int | None, beats: Mapping[str, int]) -> Known | None:
        """The row that a retry should have or wait for.

        A run that is there comes first, then the call that was published first. It waits for none that was published
        after its own, so that two never wait for each other. Then come rows of processes that may have died.

        Args:
            key: of the call.
            own: the row of the call itself.
            beats: of other processes, when they were asked for.
        """
        mine = self._snapshot.rows.get(own) if own is not None else None
        rows = (row for row in self.known.get(key, ()) if self._is_of_use(row, beats))
        rows = (row for row in rows if mine is None or row.is_free or row.order < mine.order)
        return min(rows, key=lambda row: (not row.is_free, row.is_orphan, row.claimant is not None), default=None)

    def _is_of_use(self, row: Known, beats: Mapping[str, int]) -> bool:
        if row.id in self._claimed or row.id in self._removed:
            return False
        if row.claimant is None:
            return row.is_settled or row.owner != self._instance  # its own can be taken over without the ledger
        # It is if the process that has claimed it has died. One that adds a beat is alive.
        return self._snapshot.beats.get(row.claimant, 0) <= beats.get(row.claimant, math.inf)

    async def _run(self, row: int) -> LegacyResponse | None:
        """Wait for the run of a row that was claimed. Without one, the claim is given up."""
        run: LegacyResponse | None = None
        try:
            while (known := self._snapshot.rows.get(row)) is not None and not (known.is_settled or known.is_orphan):
                await self._change()
            if known is not None and known.is_settled:
                run = await self._ask(row, partial(self._tries.run_of, row=row))
        finally:
            if run is None:
                self.release(row)
        return run

    async def _ask(self, row: int, apply: Callable[[Transaction], Any]) -> Any:
        """The result of a change to a row.

        Raises:
            TimeoutError: the ledger is down or slow. The change may be made later.
        """
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._put(row, apply, partial(self._soon, partial(_resolve, reply)))
        async with asyncio.timeout(GRACE):
            return await reply

    async def _refresh(self) -> None:
        """Learn what is in the ledger now. What is known may be a moment old.

        Raises:
            TimeoutError: the ledger does not work.
        """
        number = self._watcher.ask()
        while self._answered < number:
            await self._change()

    async def _change(self) -> None:
        """Wait until the ledger was read again, because something has changed or for `_refresh`.

        Raises:
            TimeoutError: the ledger does not work.
        """
        changed = self._loop.create_future()
        self._waiting.add(changed)
        try:
            await asyncio.wait([changed], timeout=GRACE)
        finally:
            self._waiting.discard(changed)
        if self._is_down:
            raise TimeoutError

    @property
    def _is_down(self) -> bool:
        since = self._outage.since
        return not self._is_open or (since is not None and time.monotonic() - since >= GRACE)

    def _forget(self, row: int | None) -> None:
        if row is not None:
            self._owned.discard(row)
            self._claimed.discard(row)
            self._removed.add(row)

    def _put(self, row: int, apply: Callable[[Transaction], Any], done: Callable[[Any], None] | None = None) -> None:
        self._writer.put(Operation(row, apply, done))

    def _soon(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def _adopt(self, snapshot: Snapshot, answered: int) -> None:
        self._answered = answered
        self.known, self._snapshot = snapshot.by_key, snapshot
        self._removed.intersection_update(snapshot.rows)
        for changed in self._waiting:
            _resolve(changed, None)

    def _clean(self, dead: list[tuple[str, int | None]]) -> None:
        """Called in the thread that reads."""
        if self._writer.backlog:
            return  # for the next time
        for holder, beat in dead:
            self._put(0, partial(self._tries.bury, holder=holder, beat=beat))
        self._put(0, self._tries.purge)


def _resolve(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)
