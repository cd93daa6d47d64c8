"""The steps of the demo. Each returns the lines that show what happened, and what is wrong."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

from tests.callers.lines import DAY
from tests.fleet.stage import Stage
from tests.support.proxy import TRIGGER
from tests.support.waiting import until

_PAUSE = 1.0
"""Seconds after which a caller calls again: the first pause of curl and of most libraries."""


class Shown(NamedTuple):
    """Attributes:
    lines: each with its label.
    problems: a sentence for each thing that is not as it must be.
    """

    lines: list[tuple[str, str]]
    problems: list[str]


Step = Callable[[Stage], Shown]


def take_over(stage: Stage) -> Shown:
    """A caller hangs up at the one proxy, and its retry at the other gets the run."""
    one, other, service = stage.one, stage.other, stage.service
    body = b'{"revision": "main"}'
    head = f"POST {TRIGGER} HTTP/1.1\r\nHost: proxy\r\nUser-Agent: nightly/1\r\nAuthorization: Bearer secret-token\r\n"
    with ThreadPoolExecutor() as callers, service.slow():
        first = one.proxy.wire(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: service.arrived)
        first.close()
        until(lambda: stage.tries("owner IS NOT NULL") or service.runs)
        time.sleep(_PAUSE)
        retry = callers.submit(other.proxy.call, TRIGGER, body, {"User-Agent": "nightly/1"})
        until(lambda: stage.tries("claimant IS NOT NULL") or service.arrived > 1)
    answer = retry.result()
    got = answer.json()
    lines = [
        ("first call", f"POST {TRIGGER} at {one.address}; hung up before the service answered"),
        ("second call", f"the same at {other.address}, {_PAUSE:g} s later"),
        ("legacy answer", f"{answer.status} {answer.body.decode()}"),
        ("runs", f"{service.runs} at the service"),
    ]
    problems = []
    if answer.status != 200 or got.get("trigger_status") != "already_exists":
        problems.append("expected the second call to get the run of the first one")
    if service.runs != 1 or service.arrived != 1:
        problems.append(f"expected 1 run, and not {service.arrived} calls at the service")
    return Shown(lines, problems)


def freeze(stage: Stage) -> Shown:
    """From a date on, new callers are refused at both proxies."""
    since, before = (datetime.now(UTC) - DAY).date(), stage.service.runs
    lines, statuses = [("both", f"reload with lifecycle.freeze: {since}")], {}
    for member in (stage.one, stage.other):
        member.reload(lifecycle={"freeze": since})
    for agent, who in (("nightly/1", "nightly, since 40 days"), ("new-tool/1", "a new tool")):
        statuses[agent] = [member.call(agent) for member in (stage.one, stage.other)]
        lines.append((who, "{} at the one, {} at the other".format(*statuses[agent])))
    problems = []
    if statuses != {"nightly/1": [200, 200], "new-tool/1": [410, 410]}:
        problems.append("expected 200 for nightly and 410 for the new tool, at both")
    if (runs := stage.service.runs - before) != 2:
        problems.append(f"expected 2 runs for nightly, and not {runs}")
    return Shown(lines, problems)


def kill(stage: Stage) -> Shown:
    """One proxy is killed, and the report does not change."""
    calls = stage.counted()
    before = stage.report()
    stage.one.process.kill()
    stage.one.process.wait()
    after, status = stage.report(), stage.other.call("nightly/1")
    lines = [
        ("killed", f"the one at {stage.one.address}, by SIGKILL"),
        ("report before", _summary(before)),
        ("report after", _summary(after)),
        ("the other", f"{status} for the next call of nightly"),
    ]
    problems = []
    if before != after:
        problems.append("expected the same report")
    if sum(row["calls"] for row in after["callers"] + after["strangers"]) != calls:
        problems.append(f"expected {calls} calls in it")
    if status != 200:
        problems.append("expected the other proxy to serve")
    return Shown(lines, problems)


def _summary(report: dict[str, list[dict[str, object]]]) -> str:
    rows = report["callers"] + report["strangers"]
    return ", ".join(f"{row['caller']} {row['calls']}" for row in rows) + f"; verdict {report['verdict']}"


def elsewhere(stage: Stage) -> Shown:
    """The report is there for whoever reaches the ledger, with a role that can only read."""
    calls = stage.counted()
    began = time.monotonic()
    report = stage.run("callers", "--ledger", stage.ledger)
    seconds = time.monotonic() - began
    lines = [
        ("in an empty folder", f"$ trigger-shim callers --ledger {stage.ledger}"),
        *(("", line) for line in report.splitlines()),
        ("after", f"{seconds:.2f} s, with {calls} calls in the ledger"),
    ]
    expected = stage.calls_of("nightly")
    if not re.search(rf"^nightly .* {expected} ", report, re.MULTILINE):
        return Shown(lines, [f"expected {expected} calls of nightly"])
    return Shown(lines, [])


STEPS: tuple[tuple[str, Step], ...] = (
    ("a caller hangs up at the one proxy, and its retry reaches the other", take_over),
    ("a freeze holds at both", freeze),
    ("one is killed with -9, and the report does not change", kill),
    ("a migration lead reads it from anywhere", elsewhere),
)
