from pathlib import Path
from typing import Any

from proxy.callers.record import CallRecord, Record
from proxy.callers.report.succession import Successions, origin_of
from proxy.callers.report.tally import CallKey
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call
from tests.callers.reports import analyzed, row_of

FREEZE = NOW - 20 * DAY


def key(agent: str = "legacy/1", address: str | None = "10.1.1.1", workflow: str = "build") -> CallKey:
    return CallKey("trigger", "c", "token", "forwarded", 200, "a", "b", None, workflow, None, "t", agent, None, address)


def test_an_origin_needs_an_address() -> None:
    assert origin_of("legacy/1", "10.1.1.1", "build") == origin_of("legacy/1", "10.1.1.9", "build") is not None
    assert origin_of("legacy/1", None, "build") is origin_of("legacy/1", "unix", "build") is None


def test_the_predecessor_is_the_last_one_before_the_freeze() -> None:
    found = Successions(FREEZE)
    for caller, ago in (("first", 30), ("last", 25), ("between", 28), ("new", 10)):
        found.add(caller, key(), NOW - ago * DAY, NOW - ago * DAY)
    found.add("elsewhere", key(address="10.1.2.1"), NOW, NOW)

    assert found.predecessor_of("new") == "last"
    assert found.predecessor_of("elsewhere") is None
    assert list(found.predecessors.values()) == ["last"]


def test_memory_is_bounded() -> None:
    found = Successions(FREEZE)
    for number in range(30_000):
        for caller, moment in (("old", FREEZE - DAY), ("new", FREEZE)):
            found.add(f"{caller} {number % 100}", key(agent=f"{number}"), moment, moment)

    assert 5_000 < len(found.predecessors) < 20_000


# --- in a report


def tool(ago: float, token: str, **fields: Any) -> CallRecord:
    known: dict[str, Any] = {"user_agent": "legacy/1", "client_ip": "10.1.1.1", "caller_source": "token"}
    return call(FREEZE - ago * DAY, f"token:{token}", token=token, **known | fields)


RECORDS: list[Record] = [
    *beats(NOW - 90 * DAY),
    *(tool(ago, "a") for ago in (2, 1)),
    *(tool(-ago, "b") for ago in (1, 2)),
    tool(-1, "c", user_agent="new/1"),
    tool(-1, "a", user_agent="new/1"),
]


def test_a_successor_is_linked_with_its_predecessor_and_not_new(tmp_path: Path) -> None:
    found = analyzed(tmp_path, *RECORDS, policy=Policy(freeze=FREEZE))
    subjects = {name: subject.is_new for name, subject in found.subjects.items()}

    predecessors = {row.name: row.predecessor for row in found.report.callers}
    assert predecessors == {"token:a": None, "token:b": "token:a", "token:c": None}
    assert subjects == {"token:a": False, "token:b": False, "token:c": True}
    assert not row_of(found.report, "token:b").accepted_while_refused
    assert any(reason.startswith("token:b, the successor of token:a, is ") for reason in found.report.reasons)


def test_without_a_freeze_nobody_is_a_successor(tmp_path: Path) -> None:
    assert all(row.predecessor is None for row in analyzed(tmp_path, *RECORDS).report.callers)
