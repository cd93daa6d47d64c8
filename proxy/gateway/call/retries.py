"""Finds, for a call that comes again, the run that its first try has started and whose answer nobody got.

A try is lost where its caller is gone before it has the answer. The next call that says the same takes its run over,
whether the try is still under way or its run is kept here. A run is taken over once, and a failure never: two callers
that both wait have two runs.

A caller that has half-closed may still read (RFC 9112, section 9.6). The next call that says the same waits until it is
known whether that one has its answer, and takes the run over only where it has not.
"""

import asyncio
import enum
import itertools
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Self

from proxy import errors
from proxy.gateway import delivery
from proxy.gateway.call.concurrency_limit import ConcurrencyLimit
from proxy.gateway.delivery import Delivery
from proxy.withdrawn.trigger import LegacyResponse

MOST_KEPT = 1024
"""Runs, at most, that are kept for a retry; the oldest is given up for a new one."""

MOST_BYTES = 16 << 20
"""Bytes, at most, of their answers."""


def key_of(authorization: bytes, target: bytes, body: bytes) -> bytes:
    """What a call says, in a few bytes that do not give its token away."""
    # None of the first two can hold a zero byte.
    return blake2b(b"\0".join((authorization, target, body)), digest_size=16).digest()


class Retries:
    """The tries whose callers may be gone, and the runs that are kept for a retry.

    Args:
        window: seconds for which a run is kept; with 0 nothing is taken over.
        now: seconds on a clock that only goes forward.
        patience: seconds that a call may wait for earlier ones.
        waiting: how many calls may wait at once.
    """

    def __init__(self, window: float, now: Callable[[], float], *, patience: float, waiting: int) -> None:
        self._window = window
        self._now = now
        self.patience, self.limit = patience, ConcurrencyLimit(waiting)
        self._numbers = itertools.count()
        self._doubtful: dict[bytes, list[Try]] = {}
        self._kept: dict[bytes, deque[tuple[float, LegacyResponse]]] = {}
        self._in_order: deque[tuple[float, bytes]] = deque()
        self._bytes = 0

    def begin(self, key: bytes, delivery: Delivery) -> "Try":
        """A call has come.

        Args:
            key: what it says, as `key_of` has it.
            delivery: of its answer.
        """
        begun = Try(self, key, next(self._numbers))
        delivery.watch(begun.learn)
        return begun

    def take(self, key: bytes) -> LegacyResponse | None:
        """The run that was kept longest for a key, which is given away with that."""
        self._drop()
        kept = self._kept.get(key)
        return self._first_of(kept, key) if kept else None

    def find(self, key: bytes, before: int) -> "Try | None":
        """A try with a key whose caller may be gone, and for which nobody waits, of those before another one."""
        if key not in self._doubtful:
            return None
        # Only of those that began earlier: two must not wait for each other.
        return next((one for one in self._doubtful[key] if one.number < before and one.is_free), None)

    def remember(self, doubtful: "Try") -> None:
        """The caller of a try may be gone."""
        if self._window:
            self._doubtful.setdefault(doubtful.key, []).append(doubtful)

    def forget(self, ended: "Try") -> None:
        """A try can be taken over no more."""
        tries = self._doubtful.get(ended.key, [])
        if ended in tries:
            tries.remove(ended)
            if not tries:
                del self._doubtful[ended.key]

    def keep(self, key: bytes, run: LegacyResponse) -> None:
        """Keep a run for a retry."""
        until = self._now() + self._window
        self._kept.setdefault(key, deque()).append((until, run))
        self._in_order.append((until, key))
        self._bytes += len(run.body)
        self._drop()

    def _drop(self) -> None:
        now = self._now() if self._in_order else 0
        while self._in_order and (self._in_order[0][0] <= now or self._is_full):
            until, key = self._in_order.popleft()
            kept = self._kept.get(key)
            if kept and kept[0][0] == until:  # or else it has been taken
                self._first_of(kept, key)

    @property
    def _is_full(self) -> bool:
        return len(self._in_order) > MOST_KEPT or self._bytes > MOST_BYTES

    def _first_of(self, kept: deque[tuple[float, LegacyResponse]], key: bytes) -> LegacyResponse:
        _, run = kept.popleft()
        self._bytes -= len(run.body)
        if not kept:
            del self._kept[key]
        return run


class State(enum.Enum):
    """What is known about a try. It goes down this list, may leave out any but the last, and never goes back."""

    UNDER_WAY = "its caller waits for the answer"
    HALF_CLOSED = "its caller has half-closed: whether it is gone shows when the answer is sent"
    LOST = "its caller is gone, and its run, once there is one, is for a retry"
    OVER = "its caller has the answer, or its run has been handed on"


class Try:
    """One call: a context, from when it has come until its answer is ready.

    Attributes:
        key: what it says.
        number: of those that began earlier it is lower.
        state: what is known about it.
        run: that it has started or taken over, once there is one.
    """

    def __init__(self, retries: Retries, key: bytes, number: int) -> None:
        self.key = key
        self.number = number
        self.state = State.UNDER_WAY
        self.run: LegacyResponse | None = None
        self._retries = retries
        self._is_ready = False
        self._heir: asyncio.Future[LegacyResponse | None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ready = True
        if self.state is not State.HALF_CLOSED or self.run is None:  # nobody need wait to hear of a failure
            self._end()

    @property
    def is_free(self) -> bool:
        """Whether nobody waits for it."""
        return self._heir is None or self._heir.done()

    def learn(self, caller: delivery.State) -> None:
        """More is known about the caller."""
        if self.state is State.OVER:
            return
        if caller is delivery.State.DELIVERED:
            self._end()
            return
        if self.state is State.UNDER_WAY:
            self._retries.remember(self)
        self.state = State.HALF_CLOSED if caller is delivery.State.HALF_CLOSED else State.LOST
        if self.state is State.LOST and self._is_ready:
            self._end()

    async def taken_over(self) -> LegacyResponse | None:
        """The run of a lost try, waited for where one may still be lost; None where there is none.

        Raises:
            errors.Overloaded: too many wait already, or the earlier tries take too long.
        """
        run, earlier = self._retries.take(self.key), self._earlier()
        if run is not None or earlier is None:
            return run
        try:
            async with asyncio.timeout(self._retries.patience):
                with self._retries.limit:
                    return await self._inherited(earlier)
        except TimeoutError:
            raise errors.Overloaded("Earlier calls with the same token, path and body are still in progress.") from None

    def _earlier(self) -> "Try | None":
        return self._retries.find(self.key, self.number)

    async def _inherited(self, earlier: "Try | None") -> LegacyResponse | None:
        while earlier is not None:
            run = await earlier.bequest() or self._retries.take(self.key)
            if run is not None:
                return run
            earlier = self._earlier()
        return None

    async def bequest(self) -> LegacyResponse | None:
        """Take over what becomes of this try: its run if it is lost, and nothing where its caller has the answer."""
        heir: asyncio.Future[LegacyResponse | None] = asyncio.get_running_loop().create_future()
        self._heir = heir
        try:
            return await heir
        except asyncio.CancelledError:
            if not heir.cancelled() and (run := heir.result()) is not None:  # handed over in the same moment
                self._retries.keep(self.key, run)
            raise

    def _end(self) -> None:
        lost, doubtful = self.state is State.LOST, self.state is not State.UNDER_WAY
        self.state = State.OVER
        if not doubtful:
            return
        self._retries.forget(self)
        run = self.run if lost else None
        if self._heir is not None and not self._heir.done():
            self._heir.set_result(run)
        elif run is not None:
            self._retries.keep(self.key, run)
