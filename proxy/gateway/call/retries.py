"""Gives a retry the run that its first try has started, if the caller of that try never got the response.

A try is lost if its caller is gone before it has the response. The next identical call takes over its run, whether the
lost try is still in progress or its run is stored here. A run goes to at most one retry, and failures are not replayed.
Two identical callers that both wait get two runs.

A caller that has half-closed may still read (RFC 9112, section 9.6). The next identical call waits until it is known
whether that caller got its response, and takes over the run only if not.

What is known here is shared with other processes (`shared_tries`): a run that they know of must be claimed first.
"""

import asyncio
import enum
import hmac
import itertools
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Self

from proxy import errors
from proxy.gateway import delivery
from proxy.gateway.call.concurrency_limit import ConcurrencyLimit
from proxy.gateway.call.shared_tries import Claim, Found, SharedTries
from proxy.gateway.delivery import Delivery
from proxy.withdrawn.trigger import LegacyResponse

MAX_RUNS = 1024
"""Maximum number of stored runs. A new one displaces the oldest."""

MAX_BYTES = 16 << 20
"""Maximum size of their responses together."""


def derived_key(fingerprint_key: bytes) -> bytes:
    """The key for `key_of`: the same in all processes that have the same fingerprint key."""
    return hmac.digest(fingerprint_key, b"trigger-shim: key of lost tries", "sha256")


def key_of(key: bytes, authorization: bytes, target: bytes, body: bytes) -> bytes:
    """A keyed digest that is the same for identical calls, and reveals nothing of them without the key."""
    # Neither of the first two can contain a zero byte.
    return blake2b(b"\0".join((authorization, target, body)), digest_size=16, key=key).digest()


class Retries:
    """The tries whose callers may be gone, and the stored runs.

    Args:
        window: seconds for which a run is stored; 0 turns retries off.
        now: seconds on a monotonic clock.
        patience: seconds that a call may wait for earlier ones.
        waiting: how many calls may wait at once.
        shared: the tries of other processes.
    """

    def __init__(
        self, window: float, now: Callable[[], float], *, patience: float, waiting: int, shared: SharedTries
    ) -> None:
        self._window = window
        self._now = now
        self.patience, self.limit, self.shared = patience, ConcurrencyLimit(waiting, "waiting_for_retry"), shared
        self._numbers = itertools.count()
        self._doubtful: dict[bytes, list[Try]] = {}
        self._stored: dict[bytes, deque[tuple[float, Found]]] = {}
        self._by_age: deque[tuple[float, bytes]] = deque()
        self._bytes = 0

    def begin(self, key: bytes, delivery: Delivery) -> "Try":
        """Begin a call.

        Args:
            key: from `key_of`.
            delivery: of its response.
        """
        begun = Try(self, key, next(self._numbers))
        delivery.watch(begun.learn)
        return begun

    def first(self, key: bytes) -> Found | None:
        """The oldest stored run of a key."""
        self._expire()
        return self._stored[key][0][1] if key in self._stored else None

    def take(self, key: bytes) -> Found | None:
        """Remove and return the oldest stored run of a key."""
        self._expire()
        stored = self._stored.get(key)
        return self._pop(stored, key) if stored else None

    def find(self, key: bytes, before: int) -> "Try | None":
        """A try of a key that began before a number, whose caller may be gone, and that no retry waits for."""
        if key not in self._doubtful:
            return None
        # Only those that began earlier, so that two never wait for each other.
        return next((one for one in self._doubtful[key] if one.number < before and one.is_free), None)

    def remember(self, doubtful: "Try") -> None:
        """Note that the caller of a try may be gone."""
        if self._window:
            self._doubtful.setdefault(doubtful.key, []).append(doubtful)
            doubtful.row = self.shared.publish(doubtful.key, waits=not doubtful.is_forwarded)

    def forget(self, ended: "Try") -> None:
        """Note that a try can no longer be taken over."""
        tries = self._doubtful.get(ended.key, [])
        if ended in tries:
            tries.remove(ended)
            if not tries:
                del self._doubtful[ended.key]

    def store(self, key: bytes, found: Found) -> None:
        """Store a run for a retry."""
        until = self._now() + self._window
        self._stored.setdefault(key, deque()).append((until, found))
        self._by_age.append((until, key))
        self._bytes += len(found.run.body)
        self._expire()

    def _expire(self) -> None:
        now = self._now() if self._by_age else 0
        while self._by_age and (self._by_age[0][0] <= now or self._is_full):
            until, key = self._by_age.popleft()
            stored = self._stored.get(key)
            if stored and stored[0][0] == until:  # otherwise it was taken
                self.shared.remove(self._pop(stored, key).row)

    @property
    def _is_full(self) -> bool:
        return len(self._by_age) > MAX_RUNS or self._bytes > MAX_BYTES

    def _pop(self, stored: deque[tuple[float, Found]], key: bytes) -> Found:
        _, found = stored.popleft()
        self._bytes -= len(found.run.body)
        if not stored:
            del self._stored[key]
        return found


class State(enum.Enum):
    """What is known about a try. It only goes down this list, and may skip states."""

    UNDER_WAY = "its caller waits for the response"
    HALF_CLOSED = "its caller has half-closed: whether it is gone shows when the response is sent"
    LOST = "its caller is gone; its run, once there is one, is for a retry"
    OVER = "its caller has the response, or its run went to a retry"


# Python 3.11 takes 0.1 µs to look up a member.
_UNDER_WAY, _, _LOST, _OVER = State
_DELIVERED = delivery.State.DELIVERED


class Try:
    """One call: a context that lasts until its response is ready. It ends once the response was sent.

    Attributes:
        number: higher than that of each try that began earlier.
        run: the run that it has started or taken over, once there is one.
        row: where other processes know of it.
        is_forwarded: whether it waits for no other try, and so may start a run.
    """

    def __init__(self, retries: Retries, key: bytes, number: int) -> None:
        self.key = key
        self.number = number
        self.state = _UNDER_WAY
        self.run: LegacyResponse | None = None
        self.row: int | None = None
        self._retries = retries
        self._claimed: int | None = None  # the row of the run that it has taken over
        self.is_forwarded = self._is_ready = False
        self._retry: asyncio.Future[LegacyResponse | None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_ready = True
        if self.row is not None and kind is asyncio.CancelledError and self.is_forwarded:
            self._retries.shared.abandon(self.row)  # the server stops, and its answer is not waited for
            self.row = None
        if self.run is None or self.state is _LOST:  # no retry needs to wait for a failure
            self._end()

    @property
    def is_free(self) -> bool:
        """Whether no retry waits for it."""
        return (self._retry is None or self._retry.done()) and not self._retries.shared.is_claimed(self.row)

    def learn(self, caller: delivery.State) -> None:
        """Called with each new state of the caller."""
        if self.state is _OVER:
            return
        if caller is _DELIVERED:
            self._end()
            return
        if self.state is State.UNDER_WAY:
            self._retries.remember(self)
        self.state = State.HALF_CLOSED if caller is delivery.State.HALF_CLOSED else State.LOST
        if self.state is State.LOST and self._is_ready:
            self._end()

    async def take_over(self) -> LegacyResponse | None:
        """The run of an earlier lost try, or None. Waits while an earlier try may still be lost.

        Raises:
            errors.Overloaded: too many calls wait already, or the earlier tries take too long.
            errors.ConnectionLost: an earlier try was lost together with its process.
        """
        retries, found = self._retries, None
        first, earlier = retries.first(self.key), self._earlier()
        if first is not None and first.row is None:
            found = retries.take(self.key)
        elif first is not None or earlier is not None or self.key in retries.shared.known:
            found = await self._wait_for_run()
        if found is None:
            self.is_forwarded = True
            if self.row is not None:
                retries.shared.forward(self.row)
            return None
        self._claimed = found.row
        return found.run

    def _earlier(self) -> "Try | None":
        return self._retries.find(self.key, self.number)

    async def _wait_for_run(self) -> Found | None:
        retries = self._retries
        try:
            async with asyncio.timeout(retries.patience):
                with retries.limit:
                    while (found := await self._search()) is None:
                        if self._earlier() is None and (retries.first(self.key) is None or self._leaves_it):
                            return None
                    return found
        except TimeoutError:
            raise errors.Overloaded(
                "Earlier calls with the same token, path and body are still in progress.", limit="waiting_for_retry"
            ) from None

    async def _search(self) -> Found | None:
        """The run of an earlier try in this process, or else in another one."""
        found, earlier = self._take(), self._earlier()
        while found is not None or earlier is not None:
            if found is not None:
                run = await self._claim(found)
            elif earlier is not None:
                run = await earlier.hand_over()
            if run is not None:
                return run
            found, earlier = self._take(), self._earlier()
        return await self._retries.shared.take_over(self.key, lambda: self.row)

    def _take(self) -> Found | None:
        return None if self._leaves_it else self._retries.take(self.key)

    @property
    def _leaves_it(self) -> bool:
        """Whether another retry comes before this one: the runs that are there are for that one."""
        return self._retries.shared.is_awaited(self.key, self.row)

    async def _claim(self, found: Found) -> Found | None:
        """Claim a run that was stored here; if another process has it, there is nothing left of it here."""
        if found.row is None:
            return found
        try:
            return found if await self._retries.shared.claim(found.row) is not Claim.LOST else None
        except asyncio.CancelledError:
            self._retries.store(self.key, found)
            raise

    async def hand_over(self) -> Found | None:
        """Wait for the end of this try, and return its run if it is lost, or None."""
        retry: asyncio.Future[LegacyResponse | None] = asyncio.get_running_loop().create_future()
        self._retry = retry
        shared, row = self._retries.shared, self.row
        try:
            if row is not None and await shared.claim(row) is Claim.LOST:
                return None
            run = await retry
            if self.row not in {None, row} and await shared.claim(self.row) is Claim.LOST:  # see `SharedTries.end`
                return None
        except asyncio.CancelledError:
            if retry.done() and not retry.cancelled() and (run := retry.result()) is not None:
                self._retries.store(self.key, Found(run, self.row))  # handed over at the same moment
            raise
        finally:
            retry.cancel()
        return Found(run, self.row) if run is not None else None

    def _end(self) -> None:
        before, self.state = self.state, _OVER
        if before is _UNDER_WAY and self._claimed is None:
            return
        self._retries.forget(self)
        run = self.run if before is _LOST else None
        self.row = self._retries.shared.end(self.row, self._claimed, run)
        if self._retry is not None and not self._retry.done():
            self._retry.set_result(run)
        elif run is not None:
            self._retries.store(self.key, Found(run, self.row))
