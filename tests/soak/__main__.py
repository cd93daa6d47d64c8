"""`make soak`: many calls with faults mixed in, first through one worker, then through two."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.soak.audit import by_outcome
from tests.soak.soak import Order, Result, soak

_SHOWN = 20


def main() -> int:
    """Soak, print what was found, and say with the exit status whether all holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    found = 0
    for workers in options.workers:
        order = Order(options.calls, options.calls // 5, options.seed, workers, silence=True)
        print(f"soak: {order.calls} calls, seed {order.seed}, {workers} workers", flush=True)
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            result = soak(order, Path(folder), _progress(order.calls))
        _show(result)
        found += len(result.problems)
    return 1 if found else 0


def _progress(calls: int) -> Callable[[int], None]:
    step = max(calls // 10, 1)

    def show(number: int) -> None:
        if number and number % step == 0:
            print(f"  {number} calls", flush=True)

    return show


def _show(result: Result) -> None:
    evidence, account = result.evidence, result.evidence.account
    print(f"  {len(evidence.calls)} calls and retries in {result.seconds:.0f} s, {len(evidence.records)} records:")
    for outcome, count in by_outcome(evidence.records).items():
        print(f"    {outcome:16}{count:8}")
    print(f"  the upstream received {sum(account.received.values())}, answered {len(account.runs)} with a run,")
    print(f"    was restarted {account.restarts} times, closed {account.hung_up} idle connections,")
    print(f"    {evidence.lost} recorded calls were on their way over one of those")
    for name, footprint in (("at the start", result.before), ("warmed up", result.warm), ("at the end", result.after)):
        print(f"  {name:16}{footprint}")
    for problem in result.problems[:_SHOWN]:
        print(f"  PROBLEM {problem}")
    print(f"  problems: {len(result.problems)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
