"""What a soak would find: the evidence of a few sound calls, with one thing in it changed."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.soak import audit
from tests.soak.audit import Evidence, Told
from tests.soak.callers import Seen
from tests.soak.footprint import GROWTH, REMEMBERED, Footprint, growth
from tests.soak.inside import Inside
from tests.soak.plan import ENDPOINTS, Call, Manner
from tests.soak.upstream import Account

Change = Callable[[Evidence], Evidence]


def call(name: str, endpoint: str = "trigger", manner: Manner = "waits", first: str | None = None) -> Call:
    fault = name.rpartition(".")[2]
    return Call(
        name,
        endpoint,
        ENDPOINTS[endpoint].path,
        b"",
        "t",
        fault,
        manner,
        pause=0,
        keeps=True,
        chunked=False,
        first=first,
    )


def told(name: str, outcome: str, status: int, endpoint: str = "trigger", **fields: Any) -> Told:
    return Told(
        **{
            "id": name,
            "endpoint": endpoint,
            "outcome": outcome,
            "status": status,
            "upstream_status": None,
            "run": None,
            "trigger_status": None,
            "gone": False,
            **fields,
        }
    )


def seen(name: str, status: int, run: str | None = None, trigger_status: str | None = None) -> Seen:
    return Seen(status, name, run, trigger_status, whole=True)


def sound() -> Evidence:
    """Calls that went well, were lost, called again, wrong, cut off, sent twice, met nobody, or were passed through."""
    calls = [
        call("1.run"),
        call("2.run", manner="calls_again"),
        call("2r.run", first="2.run"),
        call("3.run", manner="bad_body"),
        call("4.cut", "list_runs"),
        call("5.closes", "get_run"),
        call("6.run"),
        call("7.run", "current_run"),
    ]
    records = [
        told("1.run", "forwarded", 200, upstream_status=200, run="11", trigger_status="created"),
        told("2.run", "forwarded", 200, upstream_status=200, run="12", trigger_status="created", gone=True),
        told("2r.run", "redelivered", 200, run="12", trigger_status="already_exists"),
        told("3.run", "rejected", 400),
        told("4.cut", "upstream_error", 200, "list_runs", upstream_status=200),
        told("5.closes", "upstream_error", 502, "get_run"),
        told("6.run", "unreachable", 502),
    ]
    answers = {
        "1.run": seen("1.run", 200, "11", "created"),
        "2r.run": seen("2r.run", 200, "12", "already_exists"),
        "3.run": seen("3.run", 400),
        "4.cut": seen("4.cut", 200)._replace(whole=False),
        "5.closes": seen("5.closes", 502),
        "6.run": seen("6.run", 502),
        "7.run": seen("7.run", 200, "17"),
    }
    account = Account(
        received={"1.run": 1, "2.run": 1, "4.cut": 1, "5.closes": 2, "7.run": 1},
        runs={"1.run": ["11"], "2.run": ["12"], "7.run": ["17"]},
    )
    evidence = Evidence({one.id: one for one in calls}, answers, account, records, {}, knows_all=True)
    return counted(evidence)


def counted(evidence: Evidence) -> Evidence:
    """With the metrics that its records make."""
    keys = Counter((one.endpoint, one.outcome, f"{one.status // 100}xx") for one in evidence.records)
    return evidence._replace(counted={**keys, ("pass_through", "forwarded", "2xx"): 1})


def record(name: str, **fields: Any) -> Change:
    """Have a record say something else, and the metrics too."""
    return lambda evidence: counted(
        evidence._replace(records=[one._replace(**fields) if one.id == name else one for one in evidence.records])
    )


def saw(name: str, **fields: Any) -> Change:
    """Have a caller see something else."""
    return lambda evidence: evidence._replace(seen={**evidence.seen, name: evidence.seen[name]._replace(**fields)})


def both_got(name: str, other: str) -> Change:
    """Have a caller see the answer of another one, too."""
    return lambda evidence: evidence._replace(seen={**evidence.seen, name: evidence.seen[other]})


def did(**fields: dict[str, Any]) -> Change:
    """Have the upstream do something besides."""
    return lambda evidence: evidence._replace(
        account=msgspec.structs.replace(
            evidence.account, **{name: {**getattr(evidence.account, name), **more} for name, more in fields.items()}
        )
    )


def without(*, record: str = "", answer: str = "") -> Change:
    """Take a record away, or what a caller saw."""
    return lambda evidence: counted(
        evidence._replace(
            records=[one for one in evidence.records if one.id != record],
            seen={name: one for name, one in evidence.seen.items() if name != answer},
        )
    )


def written_twice(evidence: Evidence) -> Evidence:
    return counted(evidence._replace(records=[*evidence.records, evidence.records[3]]))


def miscounted(evidence: Evidence) -> Evidence:
    return evidence._replace(counted={**evidence.counted, ("trigger", "forwarded", "2xx"): 3})


def not_passed(evidence: Evidence) -> Evidence:
    return evidence._replace(counted={**evidence.counted, ("pass_through", "forwarded", "2xx"): 0})


def test_sound_evidence_has_no_problem() -> None:
    assert list(audit.problems(sound())) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without(record="3.run"), "3.run: it has no record"),
        (written_twice, "3.run: it has 2 records"),
        (record("3.run", id="9.run"), "9.run: it has a record, and should have none"),
        (without(answer="3.run"), "3.run: its caller got no answer"),
        (did(received={"1.run": 2}), "1.run: the upstream received it 2 times"),
        (did(received={"5.closes": 3}), "5.closes: the upstream received it 3 times"),
        (did(received={"7.run": 2}), "7.run: the upstream received it 2 times"),
        (did(received={"3.run": 1}), "3.run: the upstream received it, although it was never whole or right"),
        (did(received={"9.run": 1}), "9.run: the upstream received it, and it was never made"),
        (did(received={"1.run": 0}), "1.run: its record says forwarded 200, not ('upstream_error', 502)"),
        (did(received={"6.run": 1}), "6.run: its record says unreachable 502, not ('forwarded', 200)"),
        (did(received={"2r.run": 1}), "2r.run: its record says redelivered 200, not ('forwarded', 200)"),
        (did(received={"5.closes": 0}), "1 requests were lost on 0 connections"),
        (did(runs={"1.run": ["11", "18"]}), "1.run: it was answered with 2 runs"),
        (did(runs={"5.closes": ["18"]}), "the upstream answered 3 calls with a run, the log has 2 forwarded ones"),
        (record("1.run", outcome="interrupted"), "1.run: its record says interrupted 200"),
        (record("4.cut", status=502), "4.cut: its record says upstream_error 502"),
        (record("1.run", gone=True), "1.run: its record says that its caller was gone"),
        (record("6.run", upstream_status=200), "6.run: its record says that the upstream answered 200"),
        (record("1.run", run="18"), "1.run: its caller got created run 11, its record says created 18"),
        (record("2r.run", run="18"), "2r.run: it was given already_exists run 18, the lost try had 12"),
        (record("2r.run", outcome="unreachable", status=502), "2r.run: it was not given the run of 2.run"),
        (both_got("2.run", "1.run"), "2r.run: it was given a run, and there is none that was lost"),
        (record("6.run", outcome="redelivered"), "6.run: it was given a run, and there is none that was lost"),
        (saw("1.run", status=201), "1.run: its caller got 201, its record says 200"),
        (saw("7.run", status=502), "7.run: its caller got 502, not {200}"),
        (saw("1.run", run="18"), "1.run: its caller got run 18, the upstream answered with 11"),
        (saw("7.run", run="18"), "7.run: its caller got run 18, the upstream answered with 17"),
        (saw("1.run", request_id="7.run"), "1.run: its answer is that of 7.run"),
        (saw("1.run", whole=False), "1.run: its answer broke off"),
        (saw("4.cut", whole=True), "4.cut: its answer looks whole, and was cut off"),
        (miscounted, "the log has {"),
        (not_passed, "1 calls were to be passed through, the metrics say 0"),
    ],
)
def test_whatever_does_not_fit_is_a_problem(change: Change, problem: str) -> None:
    assert any(found.startswith(problem) for found in audit.problems(change(sound())))


def test_of_several_workers_not_each_knows_of_every_lost_try() -> None:
    change = record("2r.run", outcome="unreachable", status=502, run=None, trigger_status=None)
    changed = change(sound())
    found = set(audit.problems(changed)) - set(audit.problems(changed._replace(knows_all=False)))
    assert found == {"2r.run: it was not given the run of 2.run"}


def test_a_torn_line_is_a_problem_wherever_it_is(tmp_path: Path) -> None:
    log = tmp_path / "callers.jsonl"
    beat = (
        b'{"event":"heartbeat","schema":1,"ts":"2026-11-24T08:00:00Z","at":"start","interval":3600.0,"instance":"x:1"}'
    )
    log.write_bytes(beat + b"\n" + beat[:40] + beat + b"\n" + beat)
    records, torn = audit.read(log)
    assert records == []
    assert [problem.partition(":")[0] for problem in torn] == ["a torn line in the log", "the log's end is torn"]


def holding(sockets: int = 5, memory: int = 50_000, tasks: int = 4, objects: int = 60_000) -> Footprint:
    return Footprint({1: Counter({"socket:": sockets})}, {1: memory}, Inside(tasks, objects))


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        (holding(sockets=6), "descriptors after the last call"),
        (holding(memory=50_001 + GROWTH), "the memory of process 1 has grown by 8193 KiB"),
        (holding(tasks=5), "tasks: 5"),
        (holding(objects=60_001 + REMEMBERED), "25001 objects more"),
    ],
)
def test_what_has_grown_is_a_problem(after: Footprint, problem: str) -> None:
    assert list(growth(holding(), holding(), holding(memory=50_000 + GROWTH, objects=61_000), 100_000)) == []
    [found] = growth(holding(), holding(), after, 100_000)
    assert found.startswith(problem)
