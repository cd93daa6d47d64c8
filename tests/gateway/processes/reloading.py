"""A proxy whose configuration is reloaded."""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import shown_lines
from tests.support.scrape import Scrape
from tests.support.serving import Serving, serving
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.wire import Answer
from tests.support.workers import paused, workers

READ = "trigger-shim: configuration reloaded "
REFUSED = "trigger-shim: error: reload refused: "
ENDED = {"deprecated": "2019-01-01", "sunset": "2020-01-01"}
MOVED = {"name": "moved", "agent": "moved/*", "migrated": "2020-01-01"}
SUCCESSFUL = "config_last_reload_successful"
SUCCESS = "config_last_reload_success_timestamp_seconds"


class Reloading:
    """A proxy in another process, with a configuration file that a test changes."""

    def __init__(self, running: Serving, folder: Path, count: int) -> None:
        self.running = running
        self.proxy = running.proxy
        self.file = folder / "config.yaml"
        self.first: dict[str, Any] = yaml.safe_load(self.file.read_text())
        self._count = count
        self._said = b""

    def content(self, **sections: Any) -> str:
        """What the file held at the start, with sections laid over it."""
        for key, value in self.first.items():
            sections[key] = {**value, **sections.get(key, {})} if isinstance(value, dict) else sections.get(key, value)
        return yaml.safe_dump(sections)

    def reload(self, **sections: Any) -> list[str]:
        """Change the file, send the signal, and return what is said of it."""
        self.file.write_text(self.content(**sections))
        self.running.signal(signal.SIGHUP)
        return self.said()

    def said(self, verdict: str = "trigger-shim: ", count: int = 1) -> list[str]:
        """Lines on standard error, up to so many that begin so and say how a reload went."""
        while sum(line.startswith((READ, REFUSED)) and line.startswith(verdict) for line in self._lines()) < count:
            self._read(60)
        lines = self._lines()
        self._said = self._said.rpartition(b"\n")[2]
        return lines

    def scrape(self) -> Scrape:
        return Scrape(self.running.admin)

    def call_as(self, agent: str) -> Answer:
        return self.proxy.call(headers={"User-Agent": f"{agent}/1"})

    def statuses(self, *agents: str) -> list[int]:
        return [self.call_as(agent).status for agent in agents]

    def pids(self) -> list[int]:
        found: list[int] = until(lambda: workers(self.proxy, self._count))
        return found

    def each(self) -> Iterator[int]:
        """Every process that serves in its turn, while the others are paused."""
        for pid in (pids := self.pids()):
            with contextlib.ExitStack() as others:
                for other in set(pids) - {pid}:
                    others.enter_context(paused(other))
                yield pid

    def has_said(self) -> bool:
        """Whether there is something on standard error that was not returned yet."""
        self._read(0)
        return bool(shown_lines(self._said))

    def _lines(self) -> list[str]:
        return shown_lines(self._said.rpartition(b"\n")[0])

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.running.terminal], [], [], seconds)
        assert ready or not seconds, f"there came only {self._lines()}"
        with contextlib.suppress(OSError):  # so does the end of a terminal read
            self._said += os.read(self.running.terminal, 4096) if ready else b""
        return bool(ready)


@contextlib.contextmanager
def reloading(upstream: Upstream, folder: Path, count: int, **sections: Any) -> Iterator[Reloading]:
    with serving(upstream.url, folder, admin="127.0.0.1:0", workers=count, **sections) as running:
        found = Reloading(running, folder, count)
        for _ in found.each() if count > 1 else (0,):  # it has begun to serve
            assert running.admin.call("/readyz", None, method="GET").status == 200
        yield found


one_and_several = pytest.mark.parametrize("count", [1, 2])
