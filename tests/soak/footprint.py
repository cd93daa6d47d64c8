"""What the processes of a proxy hold while nothing is under way."""

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy import run_file
from tests.soak.inside import Inside, file_of
from tests.support.scrape import Scrape
from tests.support.serving import Serving
from tests.support.waiting import until
from tests.support.workers import workers

GROWTH = 8 << 10
"""KiB by which the memory of a process may grow after the warm-up: the allocator keeps what it once needed, and what is
remembered of callers and paths fills up to its limits. Of 160,000 calls, 52 bytes that each leaves behind are more."""

REMEMBERED = 25_000
"""Objects, at most, that the proxy remembers of 4,096 callers, 1,024 paths and 1,024 lost runs. What it has never seen
before adds some, but not three a call on average."""


STANDARD_ERROR = Counter({"anon_inode:": 3})
"""What the thread that writes to standard error opens at the first event."""


class Footprint(NamedTuple):
    """What the processes hold.

    Attributes:
        descriptors: how many of each kind each has open.
        memory: KiB that each has resident.
        inside: of the only process that serves; None where there are several.
    """

    descriptors: dict[int, Counter[str]]
    memory: dict[int, int]
    inside: Inside | None

    def __str__(self) -> str:
        opened = " + ".join(str(kinds.total()) for kinds in self.descriptors.values())
        memory = " + ".join(f"{size / 1024:.1f}" for size in self.memory.values())
        text = f"{opened} descriptors, {memory} MiB"
        return text + (f", {self.inside.tasks} tasks, {self.inside.objects} objects" if self.inside else "")


def at_start(running: Serving, count: int) -> Footprint:
    """What they hold before the first call, once as many as are wanted serve."""
    until(lambda: workers(running.proxy, count))
    until(lambda: run_file.runs(str(running.proxy.log.with_name("config.yaml"))))
    return _footprint(running, _opened(running))


def idle(running: Serving, start: Footprint) -> Footprint:
    """What they hold once nothing is under way any more.

    The last connections to the upstream are closed when they are too old to be used again: it is waited for that.
    """
    until(lambda: _is_idle(running))
    with contextlib.suppress(AssertionError):  # then what is open too long is told
        until(lambda: _are_as_at_the_start(_opened(running), start.descriptors))
    return _footprint(running, _opened(running))


def growth(before: Footprint, warm: Footprint, after: Footprint, calls: int) -> Iterator[str]:
    """What the proxy holds that it should not.

    Args:
        before: what it held before the first call.
        warm: after the warm-up.
        after: after the last call.
        calls: how many there were between these two.
    """
    most_objects = min(REMEMBERED, 3 * calls)
    for name, then in (("the warm-up", warm), ("the last call", after)):
        if not _are_as_at_the_start(then.descriptors, before.descriptors):
            yield f"descriptors after {name}: {then.descriptors}; at the start: {before.descriptors}"
    for pid, size in warm.memory.items():
        if (grown := after.memory.get(pid, 0) - size) > GROWTH:
            yield f"the memory of process {pid} has grown by {grown} KiB after the warm-up, over {GROWTH}"
    if warm.inside is not None and after.inside is not None:
        if after.inside.tasks != warm.inside.tasks:
            yield f"tasks: {after.inside.tasks}; after the warm-up: {warm.inside.tasks}"
        if (more := after.inside.objects - warm.inside.objects) > most_objects:
            yield f"{more} objects more than after the warm-up, over {most_objects}"


def _are_as_at_the_start(opened: dict[int, Counter[str]], start: dict[int, Counter[str]]) -> bool:
    return opened.keys() == start.keys() and all(
        kinds in (start[pid], start[pid] + STANDARD_ERROR) for pid, kinds in opened.items()
    )


def _footprint(running: Serving, opened: dict[int, Counter[str]]) -> Footprint:
    memory = {pid: _resident(pid) for pid in opened}
    return Footprint(opened, memory, _inside(running) if len(opened) == 1 else None)


def _is_idle(running: Serving) -> bool:
    page = Scrape(running.admin)
    under_way = [page.value("calls_in_flight", kind=kind) for kind in ("withdrawn", "pass_through")]
    return not any([*under_way, page["connections"]])


def _opened(running: Serving) -> dict[int, Counter[str]]:
    pid = running.process.pid
    return {one: _kinds(one) for one in (pid, *_children(pid))}


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _kinds(pid: int) -> Counter[str]:
    """The open descriptors of a process, by what they are of, without numbers."""
    kinds = Counter[str]()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kinds[str(descriptor.readlink()).partition("[")[0]] += 1
        except FileNotFoundError:  # closed by now
            continue
    del kinds[os.devnull]  # libuv opens one with the first connection to the upstream, for when there are no others
    return kinds


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def _inside(running: Serving) -> Inside:
    file = file_of(running.proxy.log.parent)
    file.unlink(missing_ok=True)
    running.signal(signal.SIGUSR1)
    until(file.exists)
    return msgspec.json.decode(file.read_bytes(), type=Inside)
