"""`trigger-shim callers` on a ledger with two years of 200 callers, in SQLite and in PostgreSQL; see README.md."""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from proxy.callers.ledger import engines
from proxy.callers.ledger.counts import Counts, DayCount, Key, Strangers
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.record import SCHEMA, Heartbeat
from tests.bench.reports import END, Used, used, write
from tests.support.postgresql import postgresql

DAYS = 720
CALLERS = 200
CALLS = 50_000_000

LOGGED = 200_000
"""Calls in the log that is read for comparison: 50 million would take minutes, and 40 GB of disk."""


def fill(address: str) -> None:
    """A ledger in which each caller has four kinds of calls: two each day, the others once a week."""
    with contextlib.closing(Ledger(engines.connect(address))) as ledger:
        ledger.open()
        keys = [_key(caller, kind) for caller in range(CALLERS) for kind in range(4)]
        each = CALLS // (DAYS * CALLERS * 2 + (DAYS // 7 + 1) * CALLERS * 2) // 24 + 1
        for begin in range(0, DAYS, 30):
            counts = Counts(Strangers())
            for day in range(begin, begin + 30):
                _add_day(counts, keys, END - timedelta(days=DAYS - day), each, is_weekly=day % 7 == 0)
            ledger.add(counts)


def _key(caller: int, kind: int) -> Key:
    token, status = f"{caller:012x}", 200 if kind < 3 else 502
    outcome = "forwarded" if status == 200 else "upstream_error"
    name, address = f"token:{token}", f"10.0.{caller % 250}.{kind}"
    what = ("acme", f"shop-{caller}", None, "nightly", None)
    return ("trigger", name, "token", outcome, status, *what, token, "legacy-ci/1", f"user-{caller}", address)


def _add_day(counts: Counts, keys: list[Key], day: datetime, each: int, *, is_weekly: bool) -> None:
    for number, key in enumerate(keys):
        if number % 4 < 2 or is_weekly:
            count = counts.days[day.toordinal(), key] = DayCount(day)
            count.last = day + timedelta(hours=23)
            count.hours = dict.fromkeys(range(24), each)
    for hour in range(24):
        counts.heartbeats.append(Heartbeat(SCHEMA, day + timedelta(hours=hour), "interval", 3600, "web-1:1"))


def calls_in(address: str) -> int:
    """The number of calls in a ledger."""
    ledger = Ledger(engines.connect(address, is_readonly=True))
    with contextlib.closing(ledger), ledger.content() as content:
        return sum(row[4] for row in content.days(0, END.toordinal()))


@contextlib.contextmanager
def ledgers(folder: Path) -> Iterator[list[tuple[str, str]]]:
    """The name and the address of each ledger, filled."""
    with postgresql() as server:
        found = [("SQLite", str(folder / "callers.db")), ("PostgreSQL", server.new_database())]
        for _, address in found:
            # In another process: what this one takes would count as the memory of those that it starts.
            subprocess.run([sys.executable, "-m", "tests.bench.ledger", "--fill", address], check=True)
        yield found


def main() -> None:
    """Fill the ledgers, and print the medians, beside those of a log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fill", metavar="ADDRESS", help="fill this ledger, and do nothing else")
    options = parser.parse_args()
    if options.fill is not None:
        fill(options.fill)
        return
    with tempfile.TemporaryDirectory(prefix="bench-ledger-") as name:
        folder = Path(name)
        log = folder / "callers.jsonl"
        write(log, LOGGED, short=False)
        of_log = _report(options.rounds, str(log))
        print(f"a log of {LOGGED:,} calls          {_shown(of_log)}")
        with ledgers(folder) as found:
            for engine, address in found:
                calls, taken = calls_in(address), _report(options.rounds, "--ledger", address)
                ratio = of_log.cpu_seconds / LOGGED * calls / taken.cpu_seconds
                print(f"{engine} with {calls:,} calls{'':6}{_shown(taken)}, {ratio:,.0f} times as fast as from a log")


def _report(rounds: int, *source: str) -> Used:
    command = [sys.executable, "-m", "proxy", "callers", "--since", "2026-10-24", "--until", END.isoformat(), *source]
    runs = [used(command, cpu=0) for _ in range(rounds)]
    return Used(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.cpu_seconds for run in runs),
        max(run.mib for run in runs),
    )


def _shown(taken: Used) -> str:
    return f"{taken.seconds:6.2f} s, {taken.cpu_seconds:5.2f} s of a core, {taken.mib:4.0f} MiB"


if __name__ == "__main__":
    main()
