"""Restarts, upgrades, reloads and renewed certificates under load: no call is lost, and none refused.

python -m tests.operations --seconds 60
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.operations.callers import Callers
from tests.operations.relay import Relay
from tests.operations.served import Served
from tests.support.ledgers import stored_calls
from tests.support.upstream import Upstream


class Way(NamedTuple):
    """How the proxy is restarted."""

    title: str
    keeps_socket: bool
    workers: int


WAYS = (
    Way("a service manager keeps the socket, one worker", True, 1),
    Way("a service manager keeps the socket, two workers", True, 2),
    Way("the next process shares the port, one worker", False, 1),
    Way("the next process shares the port, two workers", False, 2),
)


Operation = Callable[[Served], Awaitable[None]]
OPERATIONS = (Served.restart, Served.reload, Served.renew, Served.upgrade, Served.reload, Served.roll_back)


async def operate(
    way: Way,
    folder: Path,
    seconds: float,
    count: int = 40,
    operations: Sequence[Operation] = OPERATIONS,
) -> list[str]:
    """Do these operations in turn for some time under load. Prints what was counted.

    Returns:
        A sentence for each thing that is wrong.
    """
    with Upstream().running() as service:
        served = Served(service.url, folder, keeps_socket=way.keeps_socket, workers=way.workers)
        relay = Relay(served.port)
        done: Counter[str] = Counter()
        async with served.running(), relay.running() as port:
            callers = Callers(port, served.trust, count)
            load = asyncio.create_task(callers.run())
            end = asyncio.get_running_loop().time() + seconds
            for operation in itertools.cycle(operations):
                while not callers.under_way:  # noqa: ASYNC110 - an event would have to be cleared
                    await asyncio.sleep(0.001)
                await operation(served)
                done[operation.__name__] += 1
                if asyncio.get_running_loop().time() > end and len(done) == len(set(operations)):
                    break
            callers.stop()
            await load
        return _report(way, callers, served, relay, done, [call.all("x-request-id")[0] for call in service.received])


def _report(
    way: Way, callers: Callers, served: Served, relay: Relay, done: Counter[str], received: Sequence[str]
) -> list[str]:
    records = [record["request_id"] for record in served.proxy.records()]
    print(
        f"{way.title}: {len(callers.sent)} calls on {callers.connections} connections; "
        + ", ".join(f"{name} {number} times" for name, number in done.items()),
        flush=True,
    )
    problems = [f"{request_id} was not answered: {what}" for request_id, what in callers.lost.items()]
    if set(callers.answers) != {200}:
        problems.append(f"the answers were {dict(callers.statuses())}")
    if relay.refused or callers.refused:
        problems.append(f"{relay.refused + callers.refused} connections were refused")
    for where, found in (("records", records), ("runs", received)):
        if sorted(found) != sorted(callers.sent):
            lacks = len(set(callers.sent) - set(found))
            problems.append(f"{len(found)} {where} for {len(callers.sent)} calls; {lacks} calls have none")
    counted = stored_calls(served.ledger)
    if counted != len(callers.sent):
        problems.append(f"the ledger has {counted} of {len(callers.sent)} calls")
    return problems


def main() -> int:
    """Show all ways, and say with the exit status whether nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.operations", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="for all ways together (default: %(default)s)")
    seconds = parser.parse_args().seconds / len(WAYS)
    problems = []
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(operate(way, Path(folder), seconds))
        problems += found
        for problem in found[:20]:
            print(f"  WRONG: {problem}")
    print("nothing was lost, and nobody refused" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
