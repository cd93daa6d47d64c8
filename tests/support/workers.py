"""The worker processes of a proxy."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.proxy import Proxy
from tests.support.serving import Serving, serving
from tests.support.waiting import until


@contextlib.contextmanager
def two_workers(url: str, folder: Path, **sections: Any) -> Iterator[tuple[Serving, list[int]]]:
    """A proxy with two running workers, and their process IDs."""
    sections = {"admin": "127.0.0.1:0", "workers": 2, **sections}
    with serving(url, folder, **sections) as running:
        yield running, until(lambda: workers(running.proxy, 2))


def workers(proxy: Proxy, count: int) -> list[int]:
    """The process IDs of the running workers if there are this many; otherwise nothing."""
    beats = [event for event in proxy.events() if event["event"] == "heartbeat"] if proxy.log.exists() else []
    stopped = {beat["instance"] for beat in beats if beat["at"] == "stop"}
    found = {int(beat["instance"].rpartition(":")[2]) for beat in beats if beat["instance"] not in stopped}
    alive = [pid for pid in found if is_alive(pid)]
    return sorted(alive) if len(alive) == count else []


def is_alive(pid: int) -> bool:
    return state(pid) not in {None, "Z"}


def state(pid: int) -> str | None:
    """The state of a process as in ``/proc``, or None if it does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


@contextlib.contextmanager
def paused(pid: int) -> Iterator[None]:
    """Stop a worker, so that the other one gets all calls."""
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: state(pid) == "T")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
