"""Finds, for a call that comes again, the run that its first try has started and whose answer nobody got.

A try is lost where its caller has hung up before the answer was there. The next call that says the same takes its run
over, whether the try is still under way or its run is kept here. A run is taken over once, and a failure never: two
callers that both wait have two runs.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Self

from proxy.withdrawn.trigger import LegacyAnswer

MOST_KEPT = 1024
"""Runs, at most, that are kept for a retry; the oldest is given up for a new one."""

MOST_BYTES = 16 << 20
"""Bytes, at most, of their answers."""


def key_of(authorization: bytes, target: bytes, body: bytes) -> bytes:
    """What a call says, in a few bytes that do not give its token away."""
    # None of the first two can hold a zero byte.
    return blake2b(b"\0".join((authorization, target, body)), digest_size=16).digest()


class Retries:
    """The lost tries that are under way, and the runs that are kept for a retry.

    Args:
        window: seconds for which a run is kept; with 0 nothing is taken over.
        now: seconds on a clock that only goes forward.
    """

    def __init__(self, window: float, now: Callable[[], float]) -> None:
        self._window = window
        self._now = now
        self._numbers = itertools.count()
        self._lost: dict[bytes, list[Try]] = {}
        self._kept: dict[bytes, deque[tuple[float, LegacyAnswer]]] = {}
        self._in_order: deque[tuple[float, bytes]] = deque()
        self._bytes = 0

    def begin(self, key: bytes, when_gone: Callable[[Callable[[], None]], None]) -> "Try":
        """A call has come.

        Args:
            key: what it says, as `key_of` has it.
            when_gone: takes what is to be called when its caller hangs up, or at once where it has.
        """
        begun = Try(self, key, next(self._numbers))
        when_gone(begun.lose)
        return begun

    def take(self, key: bytes) -> LegacyAnswer | None:
        """The run that was kept longest for a key, which is given away with that."""
        self._drop()
        kept = self._kept.get(key)
        return self._first_of(kept, key) if kept else None

    def take_try(self, key: bytes, before: int) -> "Try | None":
        """A lost try with a key, of those that began before another one; nobody else gets it."""
        tries = self._lost.get(key, [])
        lost = next((one for one in tries if one.number < before), None)
        if lost is not None:
            self.forget(lost)
        return lost

    def remember(self, lost: "Try") -> None:
        """A try under way is lost."""
        if self._window:
            self._lost.setdefault(lost.key, []).append(lost)

    def forget(self, ended: "Try") -> None:
        """A try can be taken over no more."""
        tries = self._lost.get(ended.key, [])
        if ended in tries:
            tries.remove(ended)
            if not tries:
                del self._lost[ended.key]

    def keep(self, key: bytes, run: LegacyAnswer) -> None:
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

    def _first_of(self, kept: deque[tuple[float, LegacyAnswer]], key: bytes) -> LegacyAnswer:
        _, run = kept.popleft()
        self._bytes -= len(run.body)
        if not kept:
            del self._kept[key]
        return run


class Try:
    """One call, from when it has come until its answer is ready: a context, which ends it.

    Attributes:
        key: what it says.
        number: of those that began earlier it is higher.
        run: that it has started or taken over, once there is one.
    """

    def __init__(self, retries: Retries, key: bytes, number: int) -> None:
        self.key = key
        self.number = number
        self.run: LegacyAnswer | None = None
        self._retries = retries
        self._is_lost = self._is_over = False
        self._heir: asyncio.Future[LegacyAnswer | None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        if not self._is_lost:
            return
        self._retries.forget(self)
        if self._heir is not None and not self._heir.done():
            self._heir.set_result(self.run)
        elif self.run is not None:
            self._retries.keep(self.key, self.run)

    def lose(self) -> None:
        """The caller has hung up."""
        if not (self._is_over or self._is_lost):
            self._is_lost = True
            self._retries.remember(self)

    async def taken_over(self) -> LegacyAnswer | None:
        """The run of a lost try, waited for where that is under way; None where there is none."""
        run = self._retries.take(self.key)
        # Only of those that began earlier: two must not wait for each other.
        while run is None and (lost := self._retries.take_try(self.key, self.number)) is not None:
            run = await lost.bequest()
        return run

    async def bequest(self) -> LegacyAnswer | None:
        """Take over what becomes of this try."""
        self._heir = asyncio.get_running_loop().create_future()
        return await self._heir
