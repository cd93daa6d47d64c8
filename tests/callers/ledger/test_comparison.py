from datetime import date, timedelta
from pathlib import Path
from typing import Any

from proxy.callers.ledger.comparison import Comparison, compare
from proxy.callers.ledger.forget import forget_persons
from tests.callers.ledger.reading import opened
from tests.callers.lines import DAY, NOW, beats, call, log
from tests.support.ledgers import Connect, fill

FIRST = NOW - 5 * DAY


def compared(connect: Connect, folder: Path, *records: Any) -> Comparison:
    (folder / "calls.jsonl").write_bytes(log(*records))
    return compare(opened(connect), [str(folder / "calls.jsonl")], NOW)


def found(comparison: Comparison) -> list[tuple[Any, ...]]:
    return [((date.fromordinal(day) - FIRST.date()).days, *rest) for day, *rest in comparison.differences]


def test_a_ledger_that_has_all_calls_does_not_differ(connect: Connect, address: str, tmp_path: Path) -> None:
    person = {"token": "a" * 12, "run_user": "alice", "client_ip": "10.1.1.1"}
    records: list[Any] = [*beats(FIRST), *[call(FIRST + n * DAY, **person) for n in range(5)]]
    fill(address, *records)
    forget_persons(connect(), (FIRST + 2 * DAY).toordinal())

    assert compared(connect, tmp_path, *records) == Comparison(
        5, FIRST.toordinal(), (FIRST + 4 * DAY).toordinal(), [], []
    )


def test_each_day_and_caller_that_differs_is_found(connect: Connect, address: str, tmp_path: Path) -> None:
    def days(*numbers: int, caller: str = "token:a", **fields: Any) -> list[Any]:
        return [call(FIRST + n * DAY, caller, token="a" * 12, **fields) for n in numbers]

    fill(address, *days(0, 0, 1, 2, 3, 5, 5), *days(2, caller="token:b"), call(FIRST - DAY))
    comparison = compared(connect, tmp_path, *days(0, 1, 1, 3, 5), *days(1, status=500))

    # On the first day and today the ledger may have more: the log begins, and calls go on.
    assert found(comparison) == [(1, "token:a", 3, 1), (2, "token:a", 0, 1), (2, "token:b", 0, 1)]


def test_what_only_the_ledger_has_may_be_of_another_host(connect: Connect, address: str, tmp_path: Path) -> None:
    mine: list[Any] = [*beats(FIRST, instance="web-1:7"), *[call(FIRST + n * DAY, token="a" * 12) for n in (0, 1, 4)]]
    fill(address, *mine[:-1], *beats(FIRST, instance="web-2:9"), call(FIRST + 2 * DAY, token="a" * 12))
    comparison = compared(connect, tmp_path, *mine)

    assert comparison.others == ["web-2"]
    assert found(comparison) == [(4, "nightly", 1, 0)]


def test_strangers_are_compared_together(connect: Connect, address: str, tmp_path: Path) -> None:
    def stranger(number: int) -> Any:
        fields = {"token": None, "client_ip": f"10.{number}.1.1", "caller_source": "address", "status": 401}
        return call(FIRST + timedelta(minutes=number % 50), f"10.{number}.1.1", **fields)

    strangers = [stranger(number) for number in range(100)]
    fill(address, *strangers)
    assert compared(connect, tmp_path, *strangers).differences == []
    assert found(compared(connect, tmp_path, *strangers, *strangers[:3])) == [(0, "unknown", 103, 100)]


def test_logs_without_calls_are_compared_with_nothing(connect: Connect, address: str, tmp_path: Path) -> None:
    fill(address, call(FIRST))

    assert compared(connect, tmp_path, *beats(FIRST)) == Comparison(0, 0, 0, [], [])
