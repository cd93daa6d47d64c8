"""The proxy beside its peers, and two workers beside one, on the same calls; see README.md."""

import argparse
import resource
import signal
import sys
import tempfile
from pathlib import Path

from tests.bench import figures
from tests.bench.comparison import compared
from tests.bench.stage import Stage, cores
from tests.bench.workers import scaled

FILES = 20_000
"""How many files and connections each program may have open, where the machine lets it."""


def main() -> None:
    """Measure, and print the ratios first."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # what was started is ended on the way out
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, most), most))
    try:
        _measure(options)
    except KeyboardInterrupt:
        sys.exit(130)


def _measure(options: argparse.Namespace) -> None:
    found = cores()
    with tempfile.TemporaryDirectory(prefix="bench-proxy-") as folder:
        stage = Stage(Path(folder), found[:1], found[-1:])
        comparison = compared(stage, options.connections, options.seconds, options.rounds)
        scaling = scaled(Path(folder), found, options.seconds, options.rounds)
    table = figures.markdown if options.markdown else figures.text
    for rows in (comparison.summary(), comparison.ratios(), comparison.absolute(), scaling.rows()):
        print(table(rows), end="\n\n")
    print(scaling.verdict())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.proxy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--seconds", type=int, default=4, help="how long for each number of connections (4)")
    parser.add_argument("--connections", type=_numbers, default="1,64,1000", help="how many at once (1,64,1000)")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    main()
