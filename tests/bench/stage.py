"""Where a benchmark runs: a folder, cores, the service behind the contenders, and the load."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.bench.contenders import SERVICE, Contender, Place, call, expect
from tests.bench.load import Load, Sample
from tests.bench.running import Running
from tests.support.sockets import free_port

WARM_UP = 16
"""Connections over which a contender is called for a second before it is measured."""


def cores() -> list[int]:
    """The cores that there are for the benchmark; it needs two."""
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        sys.exit("the benchmark needs two cores: one for the contender, one for the load")
    return found


class Stage:
    """Has the service running, and contenders in front of it.

    Args:
        folder: for all that the programs write.
        ours: the cores of the contenders.
        theirs: the cores of the load and of the service.
    """

    def __init__(self, folder: Path, ours: Sequence[int], theirs: Sequence[int]) -> None:
        self.folder, self.ours = folder, ours
        self._load = Load(folder, theirs)
        self._theirs = theirs

    @contextlib.contextmanager
    def service(self) -> Iterator[tuple[Running, int]]:
        """The service, and its port."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            place = Place(Path(folder), free_port(), 0)
            with SERVICE.running(place, self._theirs) as process:
                yield process, place.port

    @contextlib.contextmanager
    def contender(self, contender: Contender, upstream: int) -> Iterator[tuple[Running, int]]:
        """A contender that does its work and is warm, and its port."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            place = Place(Path(folder), free_port(), upstream)
            with contender.running(place, self.ours) as process:
                expect(contender, "answers", call(place.port), (200, contender.answers))
                self._load.drive(place.port, WARM_UP, 1)
                yield process, place.port

    def drive(
        self,
        process: Running,
        port: int,
        connections: int,
        seconds: int,
        halfway: Callable[[], None] | None = None,
    ) -> tuple[Sample, list[float]]:
        """Have a contender called; say what was found, and how many seconds of a core each of its processes has used.

        Args:
            process: the contender.
            port: where it serves.
            connections: over which one call after another is sent.
            seconds: for which it goes on.
            halfway: called in the middle.
        """
        before = process.used
        sample = self._load.drive(port, connections, seconds, halfway)
        return sample, [after - before.get(pid, 0) for pid, after in process.used.items()]
