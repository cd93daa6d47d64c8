"""The proxy beside its peers: each in turn, round after round, so that a drift of the machine hits them alike."""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.contenders import SUBJECT, Contender, check, peers
from tests.bench.figures import Ratio, Rows, ratio, short
from tests.bench.load import Sample
from tests.bench.stage import Stage


class Round(NamedTuple):
    """What a round has found of a contender.

    Attributes:
        samples: by the number of connections.
        busy: the share of its core that it has used, by the number of connections.
        peak: the most memory, in MiB.
    """

    samples: dict[int, Sample]
    busy: dict[int, float]
    peak: float


def compared(stage: Stage, connections: Sequence[int], seconds: int, rounds: int) -> "Comparison":
    """See that each contender does its work, then measure.

    Args:
        stage: where it runs.
        connections: how many at once, one run of the load each.
        seconds: for which each run goes on.
        rounds: how often each contender is started and measured.
    """
    contenders = [SUBJECT, *peers()]
    for contender in contenders:
        with tempfile.TemporaryDirectory(dir=stage.folder) as folder:
            check(contender, Path(folder), stage.ours)
    found: dict[str, list[Round]] = {contender.name: [] for contender in contenders}
    with stage.service() as (_, upstream):
        for number in range(1, rounds + 1):
            for contender in contenders:
                print(f"round {number} of {rounds}: {contender.name}", file=sys.stderr)
                found[contender.name].append(_measured(stage, contender, upstream, connections, seconds))
    return Comparison(found)


def _measured(stage: Stage, contender: Contender, upstream: int, connections: Sequence[int], seconds: int) -> Round:
    with stage.contender(contender, upstream) as (process, port):
        samples, busy = {}, {}
        for count in connections:
            samples[count], used = stage.drive(process, port, count, seconds)
            busy[count] = sum(used) / samples[count].seconds
        return Round(samples, busy, process.peak)


class Comparison:
    """The tables that come of the rounds.

    Args:
        rounds: those of each contender, by its name; the proxy's own are the first ones.
    """

    def __init__(self, rounds: dict[str, list[Round]]) -> None:
        self._rounds = rounds
        self._subject, *self._peers = rounds
        self._connections = list(rounds[self._subject][0].samples)

    def ratios(self) -> Rows:
        """The proxy's figures to those of each peer, and what each was between."""
        rows = [[f"{self._subject} to", *self._peers]]
        for count in self._connections:
            for figure, title in (("rate", "calls a second"), ("p50", "p50"), ("p99", "p99")):
                found = (self._ratio(name, count, figure).whole for name in self._peers)
                rows.append([f"{title}, {count} connection{'s' if count != 1 else ''}", *found])
        return rows

    def summary(self) -> Rows:
        """The ratios that matter most, a row for each number of connections."""
        titles = (("rate", "calls a second"), ("p99", "p99"))
        rows = [["connections", *(f"{title} to {name}" for _, title in titles for name in self._peers)]]
        for count in self._connections:
            found = (self._ratio(name, count, figure) for figure, _ in titles for name in self._peers)
            rows.append([str(count), *map(str, found)])
        return rows

    def absolute(self) -> Rows:
        """The figures themselves."""
        rows = [["", "connections", "calls a second", "p50 ms", "p99 ms", "failed", "of its core", "MiB"]]
        for name, rounds in self._rounds.items():
            peak = max(found.peak for found in rounds)
            for count in self._connections:
                rate, p50, p99 = (statistics.median(self._all(name, count, key)) for key in ("rate", "p50", "p99"))
                failed = sum(found.samples[count].failed for found in rounds)
                busy = statistics.median(found.busy[count] for found in rounds)
                figures = f"{rate:.0f}", short(p50), short(p99), str(failed), f"{busy:.0%}", f"{peak:.0f}"
                rows.append([name, str(count), *figures])
        return rows

    def _ratio(self, name: str, connections: int, figure: str) -> Ratio:
        return ratio(self._all(self._subject, connections, figure), self._all(name, connections, figure))

    def _all(self, name: str, connections: int, figure: str) -> list[float]:
        return [getattr(found.samples[connections], figure) for found in self._rounds[name]]
