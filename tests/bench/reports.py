"""`trigger-shim callers` on a million records, beside jq and GoAccess, and on ten thousand callers; see README.md."""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy.callers.record import SCHEMA, CallRecord, Heartbeat

END = datetime(2026, 11, 24, tzinfo=UTC)
DAYS = 30
CALLERS = 10_000
FORMATS = ("table", "json", "csv", "markdown", "html")

JQ = """reduce (inputs | select(.event == "deprecated_call")) as $call ({};
  .[$call.caller] |= {calls: ((.calls // 0) + 1), last: $call.ts, user: $call.run_user,
                      errors: ((.errors // 0) + if $call.status >= 400 then 1 else 0 end)})"""
"""Calls, errors, user and last call of each caller: what jq can do of the report in one pass."""

GOACCESS = [
    '--log-format={"ts":"%dT%t.%^","method":"%m","path":"%U","status":"%s","client_ip":"%h","user_agent":"%u"}',
    "--date-format=%Y-%m-%d",
    "--time-format=%H:%M:%S",
    "--no-progress",
    "--no-global-config",
    "--num-tests=0",  # heartbeats are no requests
]


class Used(NamedTuple):
    """What a command took.

    Attributes:
        cpu_seconds: of one core; unlike the time, it hardly changes with what else is running.
    """

    seconds: float
    cpu_seconds: float
    mib: float


def write(path: Path, count: int, *, short: bool) -> None:
    """A log of so many calls of two hundred callers over thirty days; short ones have only what every record has."""
    chance, begin, encode = random.Random(1), END - timedelta(days=DAYS), msgspec.json.Encoder().encode
    with path.open("wb") as out:
        for hour in range(DAYS * 24):
            out.write(encode(Heartbeat(SCHEMA, begin + timedelta(hours=hour), "interval", 3600, "host:1")) + b"\n")
        for number in range(count):
            out.write(
                encode(_record(chance, begin + timedelta(days=DAYS) * number / count, number, short=short)) + b"\n"
            )


def _record(chance: random.Random, moment: datetime, number: int, *, short: bool) -> CallRecord:
    who = min(int(chance.expovariate(1 / 30)), 199)
    repo, status = f"shop-{chance.randrange(20)}", 404 if chance.random() < 0.02 else 200
    required = CallRecord(
        schema=SCHEMA,
        ts=moment.replace(microsecond=chance.randrange(1, 10**6)),
        request_id=f"{number:08x}" if short else f"{chance.getrandbits(128):032x}",
        endpoint="trigger",
        method="POST",
        path=f"/acme/{repo}/ci_workflows/build/trigger",
        caller=f"caller-{who}",
        caller_source="known",
        phase="deprecated",
        outcome="forwarded" if status == 200 else "upstream_error",
        status=status,
        client_ip=f"10.{who % 5}.0.{who}",
    )
    if short:
        return required
    took = chance.lognormvariate(4, 0.5)
    return msgspec.structs.replace(
        required,
        successor=f"/repos/acme/{repo}/cicd/runs",
        org="acme",
        repo=repo,
        workflow="build",
        owner=f"team-{who % 9}",
        token=f"{who * 7919:012x}",
        user_agent=f"legacy-ci/{who % 7}.{who % 3} (linux)",
        run_user=f"user-{who % 50}",
        upstream_status=status,
        run=str(number),
        trigger_status="created",
        inputs=["env", "region"],
        duration_ms=round(took + chance.uniform(0.3, 1), 3),
        upstream_ms=round(took, 3),
    )


def write_many_callers(path: Path) -> None:
    """A log of so many callers, with two to seven calls each on several days."""
    chance, begin, encode = random.Random(1), END - timedelta(days=DAYS), msgspec.json.Encoder().encode
    calls = sorted(
        (begin + timedelta(seconds=chance.randrange(DAYS * 86400)), caller)
        for caller in range(CALLERS)
        for _ in range(chance.randrange(2, 8))
    )
    with path.open("wb") as out:
        for number, (moment, caller) in enumerate(calls):
            record = _record(chance, moment, number, short=False)
            who = {"caller": f"caller-{caller}", "token": f"{caller * 7919:012x}", "run_user": f"user-{caller % 900}"}
            out.write(encode(msgspec.structs.replace(record, **who)) + b"\n")


def used(command: list[str], cpu: int) -> Used:
    """Run a command on one core."""
    begun = time.perf_counter()
    with subprocess.Popen(
        ["taskset", "-c", str(cpu), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        said = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]}: {said.decode(errors='replace')}")
    return Used(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def contenders(log: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and command of each."""
    yield "trigger-shim callers", [sys.executable, "-m", "proxy", "callers", "--until", END.isoformat(), str(log)]
    if jq := shutil.which("jq"):
        yield "jq", [jq, "-n", JQ, str(log)]
    if goaccess := shutil.which("goaccess"):
        yield "GoAccess", [goaccess, str(log), *GOACCESS, "-o", str(log.with_suffix(".report.json"))]


def main() -> None:
    """Write the logs, time each contender, print the medians and their ratios to the first one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-callers-") as folder:
        for kind, short in (("whole records", False), ("of the shortest records that there are", True)):
            log = Path(folder, "callers.jsonl")
            write(log, options.records, short=short)
            print(f"{options.records} {kind}, {log.stat().st_size / 1e6:.0f} MB")
            samples: dict[str, list[Used]] = {}
            for _ in range(options.rounds):
                for name, command in contenders(log):
                    samples.setdefault(name, []).append(used(command, cpu=0))
            _show(samples)
        log = Path(folder, "callers.jsonl")
        write_many_callers(log)
        print(f"{CALLERS} callers, {log.stat().st_size / 1e6:.0f} MB")
        name, command = next(contenders(log))
        for form in FORMATS:
            runs = [used([*command, "--format", form], cpu=0) for _ in range(options.rounds)]
            seconds = statistics.median(run.cpu_seconds for run in runs)
            print(f"  {name} --format {form:8}{seconds:7.2f} s of a core {max(run.mib for run in runs):8.0f} MiB")


def _show(samples: dict[str, list[Used]]) -> None:
    first = statistics.median(sample.seconds for sample in next(iter(samples.values())))
    for name, taken in samples.items():
        seconds = statistics.median(sample.seconds for sample in taken)
        print(f"  {name:22}{seconds:7.2f} s {seconds / first:7.1f} x {max(sample.mib for sample in taken):8.0f} MiB")


if __name__ == "__main__":
    main()
