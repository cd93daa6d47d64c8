"""Two workers beside one: what a call costs, how evenly the work is shared out, and what comes of both."""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.contenders import Contender, shim
from tests.bench.figures import Ratio, Rows, ratio, short
from tests.bench.running import Running
from tests.bench.stage import Stage
from tests.support.sockets import accepted

ONE = Contender("one worker", shim)
TWO = Contender("two workers", lambda place: shim(place, workers=2), workers=2)
CONNECTIONS = 64


class Round(NamedTuple):
    """What a round has found.

    Attributes:
        rate: calls a second.
        p99: milliseconds.
        failed: calls.
        cost: milliseconds of a core for a call, in the proxy.
        others: the same, in the load and the service.
        busier: the share of the work that the busiest process has done.
        fuller: the share of the connections that the fullest process has had.
    """

    rate: float
    p99: float
    failed: int
    cost: float
    others: float
    busier: float
    fuller: float


def scaled(folder: Path, cores: Sequence[int], seconds: int, rounds: int) -> "Scaling":
    """Measure one worker, then two, round after round.

    Args:
        folder: for all that the programs write.
        cores: those of the machine. With four, two are the workers' own. With less, the load and the service share
            them with the workers, which bounds what can be seen.
        seconds: for which each run of the load goes on.
        rounds: how often.
    """
    free = len(cores) >= 4
    stage = Stage(folder, cores[:2], cores[2:4] if free else cores[:2])
    found: dict[str, list[Round]] = {ONE.name: [], TWO.name: []}
    with stage.service() as (service, upstream):
        for number in range(1, rounds + 1):
            for contender in (ONE, TWO):
                print(f"round {number} of {rounds}: {contender.name}", file=sys.stderr)
                with stage.contender(contender, upstream) as (process, port):
                    found[contender.name].append(_measured(stage, process, port, service, seconds))
    return Scaling(found, free=free)


def _measured(stage: Stage, proxy: Running, port: int, service: Running, seconds: int) -> Round:
    connections: list[int] = []

    def count() -> None:
        connections.extend(accepted(pid, port) for pid in proxy.pids)

    served = sum(service.used.values())
    sample, used = stage.drive(proxy, port, CONNECTIONS, seconds, count)
    others = sample.used + sum(service.used.values()) - served
    return Round(
        rate=sample.rate,
        p99=sample.p99,
        failed=sample.failed,
        cost=sum(used) / sample.calls * 1e3,
        others=others / sample.calls * 1e3,
        busier=max(used) / sum(used),
        fuller=max(connections) / sum(connections),
    )


class Scaling:
    """What comes of the rounds.

    Args:
        rounds: those of one worker and of two.
        free: the workers had two cores for themselves.
    """

    def __init__(self, rounds: dict[str, list[Round]], *, free: bool) -> None:
        self._rounds = rounds
        self._free = free

    def rows(self) -> Rows:
        """What was found of each."""
        medians = {name: self._medians(name) for name in self._rounds}
        return [
            ["", *self._rounds],
            ["calls a second", *(f"{found.rate:.0f}" for found in medians.values())],
            ["p99", *(f"{short(found.p99)} ms" for found in medians.values())],
            ["failed", *(str(sum(self._all(name, "failed"))) for name in self._rounds)],
            ["of a core for a call, the proxy", *(f"{short(found.cost)} ms" for found in medians.values())],
            ["of a core for a call, load and service", *(f"{short(found.others)} ms" for found in medians.values())],
            ["of the work, the busier worker", *(f"{found.busier:.0%}" for found in medians.values())],
            ["of the connections, the fuller one at most", *(f"{max(self._all(n, 'fuller')):.0%}" for n in medians)],
        ]

    def verdict(self) -> str:
        """What the figures say of two free cores, and what they do not."""
        rate = self._ratio("rate").whole
        if self._free:
            return f"Measured with two cores of their own: two workers answer {rate} the calls of one."
        one, two, cost = self._medians(ONE.name), self._medians(TWO.name), self._ratio("cost")
        bound = 2e3 / min(one.cost + one.others, two.cost + two.others) / one.rate
        expected = one.cost / two.cost / two.busier
        return (
            f"Measured, with the load and the service on the same two cores: two workers answer {rate} the calls of "
            f"one, where {short(bound)} x is all that these cores have to give.\n"
            f"Not measured, but to be expected of two cores of their own: {short(expected)} x, since a call costs "
            f"{cost} what it costs with one worker, and the busier one does {two.busier:.0%} of the work."
        )

    def _medians(self, name: str) -> Round:
        return Round(*(statistics.median(values) for values in zip(*self._rounds[name], strict=True)))

    def _ratio(self, figure: str) -> Ratio:
        return ratio(self._all(TWO.name, figure), self._all(ONE.name, figure))

    def _all(self, name: str, figure: str) -> list[float]:
        return [getattr(found, figure) for found in self._rounds[name]]
