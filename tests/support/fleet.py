"""Several processes that share lost tries, played in one event loop."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from proxy.callers.ledger import tries
from proxy.callers.ledger.tries import Known, Pulse
from proxy.config import Config
from proxy.gateway.call import tries_threads
from proxy.gateway.call.retries import Retries, Try
from proxy.gateway.call.shared_tries import SharedTries
from proxy.gateway.call.tries_link import Connect
from proxy.gateway.delivery import Delivery, State
from proxy.gateway.metrics import Metrics
from proxy.withdrawn.trigger import LegacyResponse
from tests.support.waiting import PATIENCE

KEY = b"k" * 16


def a_run(name: str) -> LegacyResponse:
    return LegacyResponse(200, name.encode(), run=name, trigger_status="created")


class Counting(Metrics):
    """Metrics that show what they count."""

    def __init__(self) -> None:
        super().__init__(Config())
        self.taken_over = self.unshared = 0

    def count_taken_over(self) -> None:
        self.taken_over += 1

    def count_unshared(self) -> None:
        self.unshared += 1


class Process:
    """One process of several."""

    def __init__(self, connect: Connect | None) -> None:
        self.metrics = Counting()
        self.shared = SharedTries(connect, self.metrics, window=60, longest=100)
        self.retries = Retries(60, time.monotonic, patience=PATIENCE, waiting=100, shared=self.shared)
        self.shared.start()

    def begin(self) -> Try:
        return self.retries.begin(KEY, Delivery())

    def begin_lost(self) -> Try:
        """A call under way whose caller has hung up."""
        begun = self.begin()
        begun.is_forwarded = True
        begun.learn(State.LOST)
        return begun

    def retry(self) -> "Retry":
        return Retry(self.begin())

    async def knows(self, count: int, of: Callable[[Known], Any] = lambda _: True) -> None:
        """Wait until it knows of this many rows."""
        await happens(lambda: sum(bool(of(row)) for row in self.shared.known.get(KEY, ())) == count)

    def beats(self, processes: Sequence["Process"]) -> dict[str, int]:
        """The last beat that it knows of each of these processes that holds something."""
        found, names = self.shared._link.snapshot, {process.shared._instance for process in processes}
        holders = set().union(*(row.holders for row in found.rows.values()))
        return {holder: found.beats.get(holder, 0) for holder in names & holders}

    async def killed(self) -> None:
        """What it holds is left as it is, and adds no beat any more."""
        self.shared._owned.add(0)  # otherwise it says that it holds nothing
        # Its retries hear of the stop, and would still release what they have claimed.
        self.shared._link._writer.put = lambda *_: None  # type: ignore[method-assign]
        await self.shared.stop()


class Retry:
    """A call that looks for a run, starts one otherwise, and delivers it."""

    def __init__(self, attempt: Try) -> None:
        self.attempt = attempt
        self.task = asyncio.create_task(self._take_over())

    async def _take_over(self) -> str | None:
        with self.attempt:
            self.attempt.run = await self.attempt.take_over()
            return self.attempt.run.run if self.attempt.run is not None else None

    async def got(self) -> str | None:
        """The run that it has taken over."""
        return await asyncio.wait_for(asyncio.shield(self.task), PATIENCE)

    async def delivers(self) -> str | None:
        """Take over a run, and hand it to a caller who gets it."""
        run = await self.got()
        self.attempt.learn(State.DELIVERED)
        return run

    async def waits(self) -> None:
        """Return when it waits for something; it must not be done."""
        for _ in range(3):
            await asyncio.sleep(0)
        assert not self.task.done()


def ends(attempt: Try, run: str | None) -> None:
    """The service has answered."""
    with attempt:
        attempt.run = a_run(run) if run is not None else None


async def happens(condition: Callable[[], Any]) -> None:
    """Wait for something that must happen."""
    async with asyncio.timeout(PATIENCE):
        began = time.monotonic()
        while not condition():
            # What is waited for needs the processor more than a condition that takes long.
            await asyncio.sleep(max(0.002, 2 * (time.monotonic() - began)))
            began = time.monotonic()


class Leases:
    """The clock by which processes are taken for dead. It stands still until a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 0.0
        monkeypatch.setattr(tries_threads, "Pulse", lambda lease, _: Pulse(lease, lambda: self._now))

    def move(self, leases: float) -> None:
        self._now += leases * tries_threads.LEASE

    async def end(self, *alive: "Process") -> None:
        """Let the leases of all other processes end. Those that are alive see each other's beats at every step."""
        for _ in range(5):
            for process in alive:
                await process.shared._link.refresh()
            before = [process.beats(alive) for process in alive]
            self.move(0.3)
            await happens(lambda before=before: _are_later([process.beats(alive) for process in alive], before))  # type: ignore[misc]


def _are_later(beats: list[dict[str, int]], before: list[dict[str, int]]) -> bool:
    return all(
        beat > then.get(holder, 0) for now, then in zip(beats, before, strict=True) for holder, beat in now.items()
    )


class Fleet:
    """Some processes, and a look into their ledger."""

    def __init__(self, connect: Connect, count: int) -> None:
        self._database = connect()
        self.processes = [Process(connect) for _ in range(count)]

    def rows(self) -> dict[int, Known]:
        return dict(tries.read(self._database).rows)

    async def is_empty(self) -> None:
        """Nothing stays in the ledger."""
        await happens(lambda: tries.read(self._database) == tries.EMPTY)


@contextlib.asynccontextmanager
async def fleet(connect: Connect, count: int = 3) -> AsyncIterator[Fleet]:
    """Some processes, until the end of the block."""
    made = Fleet(connect, count)
    try:
        yield made
    finally:
        for process in made.processes:
            await process.shared.stop()


Scenario = Callable[[Fleet, Process, Process, Process], Awaitable[None]]


def plays(connect: Connect, scenario: Scenario) -> None:
    """Play a scenario with three processes; nothing of it stays in the ledger."""

    async def play() -> None:
        async with fleet(connect) as played:
            await scenario(played, *played.processes)
            await played.is_empty()

    asyncio.run(play())
