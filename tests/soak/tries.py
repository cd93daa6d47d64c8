"""Lost tries and retries over several processes that are killed at random.

    python -m tests.soak.tries --tries 10000 --kills 100

Each try has a body of its own, so the service can count its runs. Its caller hangs up, and calls again at any process
until there is an answer, perhaps hanging up in between. Whatever is killed meanwhile, there is one run for each try.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.soak.tries_replica import Replica, Service, message
from tests.soak.tries_worker import Order
from tests.support.postgresql import postgresql
from tests.support.sockets import free_port

HOUR = 3600.0
NEVER = "killed before it was forwarded"


class Killed(Exception):
    """A process was killed before others could know of the try. The message says when."""


class LostTry:
    """One call whose caller hangs up, and its retries.

    Attributes:
        history: what happened, for whoever has to find out why something is wrong.
    """

    def __init__(self, number: int, service: Service, replicas: list[Replica], chance: random.Random) -> None:
        self.history: list[str] = []
        self._number, self._service, self._replicas, self._chance = number, service, replicas, chance
        self._released = service.released(number)
        self._lost = Counter[str]()
        self._is_told = False
        self._answers_after = chance.choice(["retry", "hang-up", "call"])
        """What the service's answer comes after."""

    async def ends(self) -> str:
        """Hang up, call again until there is an answer, and say how it ended.

        Raises:
            Killed: there is nothing to retry.
        """
        holder = await self._first()
        for hangs_up in (*(self._chance.random() < 0.2 for _ in range(2)), *[False] * 20):
            replica = self._any()
            await self._is_known(holder, replica)
            if self._answers_after == "hang-up":
                self._released.set()
            with contextlib.suppress(OSError):  # it is killed
                if not hangs_up or self._released.is_set():  # with an answer on its way, nobody could say who has it
                    return await self._retry(replica)
                if (end := await self._hang_up(replica)) is not None:
                    return end
                holder = replica
        return "NO ANSWER"

    async def _first(self) -> Replica:
        replica, arrived = self._any(), self._service.arrived(self._number)
        process = replica.process
        try:
            async with replica.lost(self._number, with_reset=self._chance.random() < 0.5):
                while not arrived.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(arrived.wait(), 0.1)
                    if process.poll() is not None:
                        raise Killed(NEVER)
        except OSError:
            raise Killed(NEVER) from None
        self._note("hung up", replica)
        self._lost[replica.instance] += 1
        self._is_told = False
        return replica

    async def _hang_up(self, replica: Replica) -> str | None:
        """Call again, and hang up unless there is an answer soon."""
        self._note("calls again for a moment", replica)
        async with replica.lost(self._number, with_reset=self._chance.random() < 0.5) as reader:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._chance.random() * 0.05):
                    return self._judged(replica, await message(reader))
        self._lost[replica.instance] += 1
        self._is_told = False
        self._note("called again and hung up", replica)
        return None

    async def _retry(self, replica: Replica) -> str:
        self._note("calls again", replica)
        if self._answers_after == "call":
            asyncio.get_running_loop().call_later(self._chance.random() * 0.1, self._released.set)
        else:
            self._released.set()
        return self._judged(replica, await replica.call(self._number))

    def _judged(self, replica: Replica, response: tuple[int, bytes]) -> str:
        status, answer = response[0], json.loads(response[1])
        self._note(f"got {status} {answer}", replica)
        if status == 502 and "run_started" in answer.get("details", {}):
            return "killed, and said so"
        is_right = (status, answer.get("flux_public_id")) == (200, str(self._number))
        return "taken over" if is_right and answer["trigger_status"] == "already_exists" else "WRONG ANSWER"

    def _any(self) -> Replica:
        alive = [replica for replica in self._replicas if replica.is_alive]
        return self._chance.choice(alive or self._replicas)

    async def _is_known(self, holder: Replica, replica: Replica) -> None:
        """Wait until a process knows of each caller that has hung up.

        Raises:
            Killed: a process was killed before it could tell.
        """
        process, instance = holder.process, holder.instance
        while True:
            was_alive = process.poll() is None
            with contextlib.suppress(OSError):
                rows = await replica.known(self._number)
                # A process that stood still for long is taken for dead, and its rows have no owner any more.
                told = sum(row.owner in {instance, None} for row in rows)
                if self._is_told or told >= self._lost[instance]:
                    self._is_told = True
                    self._note(f"knows {rows}", replica)
                    return
                if not was_alive:
                    break
            await asyncio.sleep(0.01)
        if not rows:
            raise Killed("killed before it was shared")

    def _note(self, what: str, replica: Replica) -> None:
        self.history.append(f"{time.monotonic():.3f} {what} at {replica.order.port}, pid {replica.process.pid}")


class Load:
    """Tries and their retries.

    Attributes:
        tries: all of them, by their numbers.
        ends: how they ended.
    """

    def __init__(self, service: Service, replicas: list[Replica], seed: int) -> None:
        self.tries: dict[int, LostTry] = {}
        self.ends: dict[int, str] = {}
        self._service, self._replicas, self._seed = service, replicas, seed
        self._numbers: asyncio.Queue[int | None] = asyncio.Queue()

    def add(self, numbers: Iterable[int | None]) -> None:
        """Add tries to those that are to be made; a caller who gets None ends."""
        for number in numbers:
            self._numbers.put_nowait(number)

    async def run(self) -> None:
        """Make one try after the other."""
        while (number := await self._numbers.get()) is not None:
            chance = random.Random(self._seed * 1_000_003 + number)
            self.tries[number] = attempt = LostTry(number, self._service, self._replicas, chance)
            try:
                self.ends[number] = await attempt.ends()
            except Killed as killed:
                self.ends[number] = str(killed)
            self._service.released(number).set()


class Result:
    """What was found.

    Attributes:
        ends: how many tries ended in which way.
        problems: a sentence for each thing that must not be.
        runs: how many the service has started.
        seconds: that it took.
        kills: the process IDs of those that were killed, and when.
    """

    def __init__(self, load: Load, service: Service, kills: list[str], seconds: float) -> None:
        self.ends, self.kills, self.seconds = Counter(load.ends.values()), kills, seconds
        self.runs = service.runs.total()
        self.problems = [
            "\n      ".join((f"try {number}: {service.runs[number]} runs, {end}", *load.tries[number].history))
            for number, end in load.ends.items()
            if end.isupper() or (service.runs[number] != 1 and not (end == NEVER and service.runs[number] == 0))
        ]


async def _soak(ledger: str, folder: Path, *, tries: int, kills: int, seed: int, callers: int) -> Result:
    began, service, chance = time.monotonic(), Service(), random.Random(seed)
    async with service.running():
        is_shared_clock = "://" not in ledger
        skews = [0.0] * 4 if is_shared_clock else [0.0, HOUR, -HOUR, 0.0]
        replicas = [
            Replica(Order(free_port(), service.url, str(folder / f"replica{at}"), ledger, skew))
            for at, skew in enumerate(skews)
        ]
        try:
            await asyncio.gather(*(replica.ready() for replica in replicas))
            load, killed = Load(service, replicas, seed), list[str]()
            running = asyncio.gather(*(load.run() for _ in range(callers)))
            for at in range(kills):
                load.add(range(at * tries // kills, (at + 1) * tries // kills))
                await asyncio.sleep(chance.random() * 0.5)
                victim = chance.choice(replicas)
                killed.append(f"{time.monotonic():.3f} {victim.process.pid}")
                await victim.kill()
            load.add([None] * callers)
            await running
        finally:
            for replica in replicas:
                await replica.end()
    return Result(load, service, killed, time.monotonic() - began)


def soak(ledger: str, folder: Path, *, tries: int, kills: int, seed: int = 1, callers: int = 32) -> Result:
    """Make tries, kill processes, and say what was found.

    Args:
        ledger: the path of a file, or the address of a database.
        folder: for the logs of the processes.
        tries: how many.
        kills: how many.
        seed: of everything.
        callers: how many call at a time.
    """
    return asyncio.run(_soak(ledger, folder, tries=tries, kills=kills, seed=seed, callers=callers))


def main() -> int:
    """Soak with both engines, print what was found, and say with the exit status whether all holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = 0
    for engine in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="tries-") as name, contextlib.ExitStack() as stack:
            is_file = engine == "sqlite"
            ledger = f"{name}/callers.db" if is_file else stack.enter_context(postgresql()).new_database()
            result = soak(ledger, Path(name), tries=options.tries, kills=options.kills, seed=options.seed)
        print(
            f"lost tries, {engine}: {result.runs} runs, {len(result.kills)} kills, {result.seconds:.0f} s", flush=True
        )
        for end, count in result.ends.most_common():
            print(f"    {end:32}{count:8}")
        for problem in result.problems[:20]:
            print(f"  PROBLEM {problem}")
        if result.problems:
            print("  kills", *result.kills, sep="\n      ")
        found += len(result.problems)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
