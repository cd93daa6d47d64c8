"""`make demo-fleet`: two proxies that share a PostgreSQL behave as one, in four steps on loopback."""

import sys

import pytest

from tests.fleet import steps
from tests.fleet.stage import Stage, stage
from tests.fleet.steps import Shown, Step


def main() -> int:
    """Show all steps, and say with the exit status whether all hold."""
    try:
        with stage() as played:
            members = f"{played.one.address} and {played.other.address}"
            print(f"two proxies, the one and the other, on {members}\nledger {played.ledger}\n", flush=True)
            results = [_run(number, title, step, played) for number, (title, step) in enumerate(steps.STEPS, 1)]
    except pytest.skip.Exception as missing:
        print(missing, file=sys.stderr)
        return 1
    print(f"{sum(results)} of {len(results)} steps hold")
    return 0 if all(results) else 1


def _run(number: int, title: str, step: Step, played: Stage) -> bool:
    print(f"{number}. {title}", flush=True)
    try:
        shown = step(played)
    except AssertionError as problem:
        shown = Shown([], [str(problem)])
    for label, line in shown.lines:
        print(f"   {label:<22} {line}" if label else f"     {line}".rstrip())
    print("".join(f"   WRONG: {problem}\n" for problem in shown.problems) or "   as expected\n", flush=True)
    return not shown.problems


if __name__ == "__main__":
    sys.exit(main())
