"""The load: the same call again and again, over some connections, sent by wrk."""

import json
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.running import on, program, started

PEERS = Path(__file__).parent / "peers"
PATH = "/acme/shop/ci_workflows/build/trigger"
AUTHORIZATION = "Bearer pat-xxxxxxxxxxxxxxxx"
BODY = json.dumps(
    {
        "revision": "main",
        "workflow_revision": "tags:v1.0.0",
        "input": {"values": [{"name": "env", "value": "staging"}, {"name": "region", "value": "ru-central1"}]},
    }
)


class Sample(NamedTuple):
    """What a run of the load has found.

    Attributes:
        calls: how many were answered.
        seconds: how long it went on.
        p50: milliseconds in which half of them were answered.
        p99: milliseconds in which 99 % of them were.
        failed: how many were answered with an error, or not at all.
        used: seconds of a core that wrk itself has used.
    """

    calls: int
    seconds: float
    p50: float
    p99: float
    failed: int
    used: float

    @property
    def rate(self) -> float:
        """Calls answered a second."""
        return self.calls / self.seconds


def filled(template: str, folder: Path, /, **values: object) -> Path:
    """A file of the peers, with its places filled in, in a folder."""
    text = (PEERS / template).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name.upper()}@", str(value))
    path = folder / template
    path.write_text(text, encoding="utf-8")
    return path


class Load:
    """Drives a proxy.

    Args:
        folder: for its script.
        cores: where it runs.
    """

    def __init__(self, folder: Path, cores: Sequence[int]) -> None:
        script = filled("trigger.lua", folder, path=PATH, authorization=AUTHORIZATION, body=BODY)
        self._command = on(cores, [program("wrk"), "-t1", "--timeout", "30s", "-s", str(script)])

    def drive(self, port: int, connections: int, seconds: int, halfway: Callable[[], None] | None = None) -> Sample:
        """Call a proxy for some seconds, over so many connections.

        Args:
            port: where it serves.
            connections: over which one call after another is sent.
            seconds: for which it goes on.
            halfway: called in the middle.
        """
        before = _used_by_children()
        arguments = [f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}"]
        with started([*self._command, *arguments], stdout=subprocess.PIPE) as wrk:
            said = _said(wrk, seconds, halfway)
        found = json.loads(said.splitlines()[-1])
        return Sample(**found, used=_used_by_children() - before)


def _said(wrk: "subprocess.Popen[bytes]", seconds: int, halfway: Callable[[], None] | None) -> bytes:
    middle = time.monotonic() + seconds / 2
    while True:
        try:
            # Not in one wait: Python does not see a signal that comes just before it until the wait is over.
            return wrk.communicate(timeout=min(1, seconds / 4))[0]
        except subprocess.TimeoutExpired:
            if halfway is not None and time.monotonic() >= middle:
                halfway()
                halfway = None


def _used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
