"""One soak, from the start of its processes to what it has found."""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy.callers.log.journal import journal_prefix, memory_folder
from tests.soak import audit
from tests.soak.audit import Evidence
from tests.soak.callers import CALLERS, Load
from tests.soak.footprint import Footprint, at_start, growth, idle
from tests.soak.plan import BODY_LIMIT, Call, plan
from tests.soak.upstream import Account
from tests.support.processes import running
from tests.support.scrape import Scrape
from tests.support.serving import Serving, serving

_SECTIONS = {
    "admin": "127.0.0.1:0",
    # Fewer connections than calls under way, and fewer places than callers: calls wait for each other, or are refused.
    "upstream": {"timeout": 10, "keepalive": 1, "max_connections": CALLERS // 4},
    "limits": {"body": BODY_LIMIT, "in_flight": CALLERS * 5 // 8},
}

EXPECTED = re.compile(
    r"trigger-shim: (warning: )?(limit (no longer )?reached|upstream (un)?reachable|caller log (stalled|recovered))\b"
)
"""What the proxy says of the faults that are mixed in, and of a slow disk, for which it takes a busy machine."""


class Order(NamedTuple):
    """What soak is wanted.

    Attributes:
        calls: how many, retries not counted.
        warm_up: how many of them before what the proxy holds is measured.
        seed: of everything about them.
        silence: whether the upstream leaves some without an answer until the time is over.
    """

    calls: int
    warm_up: int
    seed: int
    workers: int
    silence: bool

    def plans(self) -> Iterator[Call]:
        """All calls."""
        return (plan(self.seed, number, silence=self.silence) for number in range(self.calls))


class Result(NamedTuple):
    """What a soak has found.

    Attributes:
        seconds: that the calls took.
        before, warm, after: what the proxy held before the first call, after the warm-up, and after the last call.
        problems: everything that does not hold.
    """

    evidence: Evidence
    seconds: float
    before: Footprint
    warm: Footprint
    after: Footprint
    problems: list[str]


@contextlib.contextmanager
def upstream(account: Path) -> Iterator[str]:
    """An upstream of its own process, and its URL; afterwards it has written its account."""
    command = [sys.executable, "-m", "tests.soak.upstream", str(account)]
    with running(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


def soak(order: Order, folder: Path, progress: Callable[[int], None] = lambda _: None) -> Result:
    """Make the calls, and hold everything against each other.

    Args:
        order: what is wanted.
        folder: an empty one, for the log and all else.
        progress: hears of each call that begins.
    """
    account = folder / "account.json"
    with (
        upstream(account) as url,
        serving(url, folder, "tests.soak.inside", None, workers=order.workers, **_with_log(folder)) as running,
    ):
        load = Load(running.proxy.port, order.seed)
        plans = _counted(order.plans(), progress)
        before = at_start(running, order.workers)
        begun = time.monotonic()
        load.run(itertools.islice(plans, order.warm_up))
        seconds = time.monotonic() - begun
        warm = idle(running, before)
        begun = time.monotonic()
        load.run(plans)
        seconds += time.monotonic() - begun
        after = idle(running, before)
        counted = Scrape(running.admin).calls()
        ending = list(_ending(running))
    records, torn = audit.read(running.proxy.log)
    done = msgspec.json.decode(account.read_bytes(), type=Account)
    evidence = Evidence(load.calls, load.seen, done, records, counted, knows_all=order.workers == 1)
    problems = [
        *load.problems,
        *torn,
        *audit.problems(evidence),
        *growth(before, warm, after, order.calls - order.warm_up),
        *ending,
    ]
    return Result(evidence, seconds, before, warm, after, problems)


def _with_log(folder: Path) -> dict[str, object]:
    return {**_SECTIONS, "callers": {"log": str(folder / "callers.jsonl")}}


def _counted(plans: Iterator[Call], progress: Callable[[int], None]) -> Iterator[Call]:
    for number, call in enumerate(plans):
        progress(number)
        yield call


def _ending(running: Serving) -> Iterator[str]:
    """What is wrong with how it ends."""
    running.signal(signal.SIGTERM)
    if (status := running.exit_status()) != 0:
        yield f"the proxy ended with status {status}"
    lines = _said(running.terminal).splitlines()
    if unexpected := [line for line in lines if not EXPECTED.match(line)]:
        yield f"the proxy said on standard error: {unexpected[:10]}"
    journals = Path(memory_folder()).glob(f"{journal_prefix(str(running.proxy.log), '')}*")
    yield from (f"the proxy has left {path}" for path in journals)


def _said(terminal: int) -> str:
    """What is left to be read of a terminal whose process is gone."""
    said = b""
    with contextlib.suppress(OSError):  # so does the end of a terminal read
        while more := os.read(terminal, 4096):
            said += more
    return said.decode(errors="replace")
