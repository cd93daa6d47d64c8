"""Makes up input for each parser until the time is over: `make fuzz`."""

import argparse
import hashlib
import sys
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.parsers import PARSERS, Parser

FAILED = Path(__file__).with_name("failed")
ROUND = 200
"""Inputs between two looks at the clock."""


def main() -> int:
    """Fuzz all parsers, and return the exit status: 1 if an input failed."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz")
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--seed", type=int, default=1)
    given_options = options.parse_args()
    print(f"seed {given_options.seed}: the same inputs come in the same order; how many depends on the machine")
    share = given_options.seconds / len(PARSERS)
    failed = [name for name, parser in PARSERS.items() if not survives(name, parser, share, given_options.seed)]
    return 1 if failed else 0


def survives(name: str, parser: Parser, seconds: float, first_seed: int) -> bool:
    """Fuzz one parser for some seconds; keep the shortest input that fails, and say what failed."""
    end, inputs = time.monotonic() + seconds, 0
    last = b""

    def check(data: bytes) -> None:
        nonlocal inputs, last
        inputs, last = inputs + 1, data
        parser.check(data)

    limits = settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    number = 0
    while time.monotonic() < end:
        try:
            seed(first_seed * 1_000_000 + number)(limits(given(parser.inputs)(check)))()
        except Exception:
            traceback.print_exc(limit=-2)
            print(f"{name}: FAILED after {inputs} inputs on {last!r}; kept in {keep(name, last)}")
            return False
        number += 1
    print(f"{name}: {inputs} inputs")
    return True


def keep(name: str, data: bytes) -> Path:
    """Keep an input that failed, as a test."""
    file = FAILED / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    file.write_bytes(data)
    return file


if __name__ == "__main__":
    sys.exit(main())
