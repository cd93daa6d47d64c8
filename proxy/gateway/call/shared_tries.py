"""Shares lost tries with other processes, through the ledger.

A try whose caller may be gone is published. Its run, once there is one, belongs to the process that claims it in the
ledger, even if that is the one that has started it. Each process keeps a copy of what all have published, so calls need
not ask the ledger. If that is down or slow, no call fails, but a retry may start a second run.
"""

import asyncio
import enum
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from proxy import errors
from proxy.callers.ledger.tries import Known, Snapshot, Tries
from proxy.gateway.call.tries_link import Connect, TriesLink
from proxy.gateway.call.tries_threads import Operation
from proxy.gateway.metrics import Metrics
from proxy.withdrawn.trigger import LegacyResponse

MAX_BACKLOG = 1024
"""How many changes may wait for the ledger before tries are no longer shared."""

MAX_BODY = 64 << 10
"""Bytes of a response that is shared."""


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
        self._owned: set[int] = set()
        self._claimed: set[int] = set()
        self._removed: set[int] = set()
        self._waiting: set[int] = set()
        self._is_used, self._is_open = connect is not None, False
        if connect is not None:
            tries = partial(Tries, holder=self._instance, window=window, longest=longest)
            self._link = TriesLink(connect, tries, lambda: bool(self._owned or self._claimed), self._adopt)
            self._tries = self._link.tries

    def start(self) -> None:
        """Connect to the ledger, in the background."""
        if self._is_used:
            self._link.start()
            self._is_open = True

    async def stop(self) -> None:
        """Write what is left, and disconnect."""
        if self._is_open:
            self._is_open = False
            await self._link.stop()

    @property
    def works(self) -> bool:
        """Whether there is a ledger, and could be used the last time."""
        return self._is_open and self._link.works

    def publish(self, key: bytes, *, waits: bool) -> int | None:
        """Tell all processes of a call under way whose caller may be gone.

        Args:
            key: of the call.
            waits: whether it is a retry that waits for the run of another call.

        Returns:
            Its row, or None if it is not shared.
        """
        if not self._is_open:
            return None
        is_full = self._link.backlog >= MAX_BACKLOG
        if is_full or not self._link.works:
            self._metrics.count_unshared()
        if is_full:
            return None
        row = secrets.randbits(63)
        self._owned.add(row)
        if waits:
            self._waiting.add(row)
        self._link.put(row, partial(self._tries.publish, row=row, key=key, waits=waits))
        return row

    def forward(self, row: int) -> None:
        """Tell all processes that a call waits for no other any more, and is forwarded."""
        self._waiting.discard(row)
        self._link.put(row, partial(self._tries.forward, row=row))

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
                self._link.put_after_response(partial(self._consume, claimed))
            return None
        if row is None or len(run.body) > MAX_BODY:
            if row is not None:
                self._metrics.count_unshared()
            self.remove(row)
            if claimed is not None:
                self.release(claimed)
            return claimed
        self._disown(row)
        changes = [Operation(row, partial(self._tries.settle, row=row, run=run))]
        if claimed is not None:  # one of the two is there at any moment
            changes.append(Operation(claimed, partial(self._tries.consume, row=claimed)))
            self._forget(claimed)
        self._link.put_together(*changes)
        return row

    def remove(self, row: int | None) -> None:
        """Tell all processes that a row has nothing for a retry."""
        if row is not None:
            self._forget(row)
            self._link.put(row, partial(self._tries.remove, row=row))

    def _consume(self, row: int) -> None:
        self._forget(row)
        self._link.put(row, partial(self._tries.consume, row=row))

    def release(self, row: int) -> None:
        """Let somebody else claim a row."""
        self._claimed.discard(row)
        self._link.put(row, partial(self._tries.release, row=row))

    def abandon(self, row: int) -> None:
        """Tell all processes that nobody will know whether a call has started a run."""
        self._disown(row)
        self._link.put(row, partial(self._tries.abandon, row=row))

    def queue(self, key: bytes, own: int | None) -> Sequence[Known]:
        """The rows of a key that a retry may have or wait for, in the order in which they were published.

        It waits for none that was published after its own row, so that two never wait for each other. What was
        published before a retry that waits is for that one.
        """
        rows = [row for row in self.known.get(key, ()) if row.id not in self._removed]
        mine = self._link.snapshot.rows.get(own) if own is not None else None
        if mine is not None:
            rows = [row for row in rows if row.is_free or row.order < mine.order]
        waiting = [at for at, row in enumerate(rows) if self._waits(row)]
        return rows[waiting[-1] :] if waiting else rows

    def is_awaited(self, key: bytes, own: int | None) -> bool:
        """Whether another retry with the same key waits already."""
        return key in self.known and any(self._waits(row) for row in self.queue(key, own))

    def _waits(self, row: Known) -> bool:
        # What is known of its own rows may be a moment old.
        return row.waits if row.owner != self._instance else row.id in self._waiting

    def is_claimed(self, row: int | None) -> bool:
        """Whether another process has claimed a row."""
        known = self._link.snapshot.rows.get(row) if row is not None else None
        return known is not None and known.claimant not in {None, self._instance}

    async def claim(self, row: int) -> Claim:
        """Claim the run of a row for a retry in this process. If it is cancelled, it leaves no claim."""
        if self._link.is_down:
            return Claim.UNKNOWN
        self._claimed.add(row)
        try:
            if await self._link.ask(row, partial(self._tries.claim, row=row)):
                return Claim.WON
            self._claimed.discard(row)
            await self._link.refresh()  # whoever lost must see what the winner has done
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
            await self._link.change()
        elif row.claimant is not None:
            await self._link.refresh()
            beats[row.claimant] = self._link.snapshot.beats.get(row.claimant, 0)
        elif (claim := await self.claim(row.id)) is Claim.WON:
            run = await self._run(row.id)
            return Found(run, row.id) if run is not None else None
        elif claim is Claim.UNKNOWN:
            self.release(row.id)
            raise TimeoutError
        return None

    def _next(self, key: bytes, own: int | None, beats: Mapping[str, int]) -> Known | None:
        """The row that a retry should have or wait for: a run, or else the first call, or else what may become free.

        Args:
            key: of the call.
            own: the row of the call itself.
            beats: of other processes, when they were asked for.
        """
        rows = (row for row in self.queue(key, own) if self._is_of_use(row, beats))
        return min(rows, key=lambda row: (not row.is_free, row.is_orphan, row.claimant is not None), default=None)

    def _is_of_use(self, row: Known, beats: Mapping[str, int]) -> bool:
        if row.id in self._claimed:
            return False
        if row.claimant is None:
            return row.is_settled or row.owner != self._instance  # its own can be taken over without the ledger
        # It is if the process that has claimed it has died. One that adds a beat is alive.
        return self._link.snapshot.beats.get(row.claimant, 0) <= beats.get(row.claimant, math.inf)

    async def _run(self, row: int) -> LegacyResponse | None:
        """Wait for the run of a row that was claimed. Without one, the claim is given up."""
        run: LegacyResponse | None = None
        try:
            while (known := self._link.snapshot.rows.get(row)) is not None and not (
                known.is_settled or known.is_orphan
            ):
                await self._link.change()
            if known is not None and known.is_settled:
                run = await self._link.ask(row, partial(self._tries.run_of, row=row))
        finally:
            if run is None:
                self.release(row)
        return run

    def _forget(self, row: int) -> None:
        self._disown(row)
        self._claimed.discard(row)
        self._removed.add(row)

    def _disown(self, row: int) -> None:
        self._owned.discard(row)
        self._waiting.discard(row)

    def _adopt(self, snapshot: Snapshot) -> None:
        self.known = snapshot.by_key
        self._removed.intersection_update(snapshot.rows)
