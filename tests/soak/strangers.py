"""The second part of `make soak`: what strangers can take from the proxy, beside nginx in the same run."""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.contenders import SUBJECT, Contender, Place, nginx
from tests.bench.reports import Used, used
from tests.bench.running import Running
from tests.bench.stage import cores
from tests.soak.attacks import ATTACKS, Attack, honest
from tests.soak.service import service
from tests.support.sockets import free_port

PATIENCE = 30.0
"""Seconds for the memory to come down again."""

SETTLED = 1.2
"""How much of the memory of the start may be in use once the strangers have left; see SECURITY.md."""

REPORT_SECONDS, REPORT_SIZE, REPORT_MEMORY = 10.0, 64 << 10, 100.0
"""What the report of the log of an attack may take: seconds of a core, bytes, and MiB."""

PEER = Contender("nginx", lambda place: nginx("bare.conf", place))


class Found(NamedTuple):
    """What an attack has done.

    Attributes:
        start, peak, after: MiB of all processes before it, at most, and after it.
        log: bytes that the log has grown by.
        honest: the statuses that other callers got meanwhile: a trigger and a call that is passed through.
        seconds: that the two took together.
    """

    start: float
    peak: float
    after: float
    log: int
    honest: list[int]
    seconds: float


class Report(NamedTuple):
    """What the report of a log is, and what it took."""

    rows: int
    size: int
    used: Used


def main() -> int:
    """Run each attack on nginx and on the proxy, print the memory of both, and say whether the limits hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*ATTACKS], nargs="+", default=[*ATTACKS])
    options = parser.parse_args()
    print(f"strangers\n{'MiB':36}{'':14}{'start':>7}{'peak':>7}{'after':>7}{'log, KiB':>10}   other callers")
    wrong = 0
    for name in options.only:
        for contender in (PEER, SUBJECT):
            with tempfile.TemporaryDirectory(prefix="strangers-") as folder, service() as upstream:
                place = Place(Path(folder), free_port(), upstream)
                found = attacked(contender, ATTACKS[name], place)
                _show(contender, ATTACKS[name], found)
                if contender is SUBJECT:
                    wrong += not _holds(ATTACKS[name], found)
                    wrong += name == "rejected" and not _report_holds(report(place.log))
    return 1 if wrong else 0


def _show(contender: Contender, attack: Attack, found: Found) -> None:
    memory = "".join(f"{size:7.1f}" for size in found[:3])
    others = f"{found.honest} in {found.seconds:.1f} s"
    print(f"{attack.name:36}{contender.name:14}{memory}{found.log / 1024:10.1f}   {others}", flush=True)


def _holds(attack: Attack, found: Found) -> bool:
    is_small = found.peak < attack.memory and found.after < SETTLED * found.start and found.log < attack.log
    return is_small and found.honest == [200, 200]


def _report_holds(report: Report) -> bool:
    took = report.used
    print(
        f"  its report: {report.rows} rows, {report.size / 1024:.1f} KiB,"
        f" {took.cpu_seconds:.1f} s of a core, {took.mib:.1f} MiB",
        flush=True,
    )
    is_cheap = took.cpu_seconds < REPORT_SECONDS and took.mib < REPORT_MEMORY
    return is_cheap and report.rows == 1 and report.size < REPORT_SIZE


def attacked(contender: Contender, attack: Attack, place: Place) -> Found:
    """Attack a contender."""
    with contender.running(place, cores()) as process:
        for _ in range(200):
            honest(place.port)
        start, log = memory(process), place.log.stat().st_size
        with attack.strangers(place.port):
            began = time.monotonic()
            statuses = honest(place.port)
            seconds = time.monotonic() - began
        after = _settled(process, start)
        return Found(start, process.peak, after, place.log.stat().st_size - log, statuses, seconds)


def report(log: Path) -> Report:
    """Make the report of a log."""
    command = [sys.executable, "-m", "proxy", "callers", "--format", "json", str(log)]
    took = used(command, cores()[0])
    text = subprocess.run(command, capture_output=True, check=True).stdout
    found = json.loads(text)
    return Report(len(found["callers"]) + len(found["strangers"]), len(text), took)


def memory(process: Running) -> float:
    """MiB that the processes of a program have resident."""
    found = [re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in process.pids]
    return sum(int(match[1]) for match in found if match) / 1024


def _settled(process: Running, start: float) -> float:
    deadline = time.monotonic() + PATIENCE
    while (now := memory(process)) > SETTLED * start and time.monotonic() < deadline:
        time.sleep(0.2)
    return now


if __name__ == "__main__":
    sys.exit(main())
