from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.ledger import engines
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.current_calls import CurrentDay
from proxy.callers.record import Record
from proxy.callers.report.analysis import StoredLogs, analyze
from proxy.callers.report.differences import Kind
from proxy.callers.report.report import CallerReport
from tests.callers.lines import DAY, NOW, beats, call, nightly
from tests.callers.policies import rule
from tests.callers.reports import reported
from tests.callers.strangers import stranger
from tests.support.ledgers import fill

KEPT = beats(NOW - 80 * DAY)
HOUR = timedelta(hours=1)
NIGHTLY = nightly(60, 1)
MONTHLY: list[Record] = [call(NOW - days * DAY) for days in (72, 41, 10)]
TOKEN = "0123456789ab"


def every(days: int, first: int, last: int = 1) -> list[Record]:
    return [call(NOW - ago * DAY) for ago in range(first, last - 1, -days)]


def changed(report: CallerReport) -> dict[str, tuple[Kind | None, int, int]]:
    assert report.differences is not None
    return {row.name: (row.difference, row.earlier, row.recent) for row in report.differences.rows}


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (NIGHTLY, None),
        (nightly(6, 1), ("new", 0, 6)),
        (nightly(7, 7), ("new", 0, 1)),
        ([*nightly(60, 30), *nightly(4, 1)], ("back", 0, 4)),
        ([*NIGHTLY, *nightly(7, 1)], ("more", 7, 14)),
        ([*NIGHTLY, *nightly(14, 8)], ("less", 14, 7)),
        ([*NIGHTLY, call(NOW - DAY)], None),
        (nightly(60, 8), ("stopped", 7, 0)),
        (nightly(60, 14), None),
        (nightly(60, 5), ("less", 7, 3)),
        (every(7, 61, 5), None),
        (every(7, 78, 15), ("stopped", 0, 0)),
        (every(7, 78, 8), None),
        (MONTHLY, None),
        ([*MONTHLY[:2], call(NOW - 3 * DAY)], None),
        ([*every(7, 78, 40), *every(7, 5)], ("back", 0, 1)),
    ],
    ids=[
        "nightly", "new", "new at the cut", "back", "twice as many", "half as many", "one more", "stopped in this week",
        "stopped in the week before", "stopped today", "weekly", "weekly and gone since two weeks", "weekly and late",
        "monthly, not yet", "monthly, called this week", "weekly and back",
    ],
)  # fmt: skip
def test_what_has_changed(tmp_path: Path, calls: list[Record], expected: tuple[Kind, int, int] | None) -> None:
    found = changed(reported(tmp_path, *KEPT, *calls))
    assert found == ({"nightly": expected} if expected is not None else {})


def test_a_ledger_says_the_same_as_the_log(tmp_path: Path) -> None:
    moment = NOW + timedelta(hours=7, minutes=20)
    calls = [call(moment - hours * HOUR, f"c{hours % 7}") for hours in range(1, 60 * 24, 5)]
    calls = [each for each in calls if hash_of(each.caller) or each.ts < NOW - 20 * DAY]
    records: list[Record] = [*beats(NOW - 80 * DAY, moment), *calls]
    address = str(tmp_path / "callers.db")
    fill(address, *records)
    stored = analyze(StoredLogs(Ledger(engines.connect(address))), [], moment).report

    from_log = reported(tmp_path, *records, now=moment)
    assert [(row.earlier, row.recent) for row in stored.callers] == [
        (row.earlier, row.recent) for row in from_log.callers
    ]
    assert changed(stored) == changed(from_log) != {}


def hash_of(caller: str) -> int:
    return int(caller[1:]) % 3


def test_the_period_makes_no_difference(tmp_path: Path) -> None:
    calls = [*NIGHTLY, *nightly(7, 1)]
    assert changed(reported(tmp_path, *KEPT, *calls, since=NOW - 3 * DAY)) == {"nightly": ("more", 7, 14)}


def test_other_lengths_can_be_compared(tmp_path: Path) -> None:
    calls = [*nightly(60, 30), *nightly(4, 1)]
    assert changed(reported(tmp_path, *KEPT, *calls, compare=2 * DAY)) == {}
    assert changed(reported(tmp_path, *KEPT, *calls, compare=30 * DAY)) == {"nightly": ("less", 30, 5)}


def test_a_log_that_begins_too_late_is_not_compared(tmp_path: Path) -> None:
    kept = beats(NOW - 14 * DAY + HOUR)
    assert reported(tmp_path, *kept, *nightly(13, 1)).differences is None
    assert reported(tmp_path, *beats(NOW - 14 * DAY), *nightly(13, 1)).differences is not None


def test_a_report_that_leaves_out_later_calls_is_not_compared(tmp_path: Path) -> None:
    assert reported(tmp_path, *KEPT, *NIGHTLY, until=NOW - DAY).differences is None
    assert reported(tmp_path, *KEPT, *NIGHTLY, until=NOW).differences is not None


def test_a_gap_of_the_log_is_no_silence(tmp_path: Path) -> None:
    records = [*beats(NOW - 80 * DAY, NOW - 8 * DAY), *beats(NOW - 4 * HOUR, instance="host:2"), *nightly(60, 8)]
    assert changed(reported(tmp_path, *records)) == {}


def test_tries_in_a_brownout_do_not_count(tmp_path: Path) -> None:
    refused = [call(NOW - 3 * DAY, outcome="brownout", status=410) for _ in range(50)]
    assert changed(reported(tmp_path, *KEPT, *NIGHTLY, *refused)) == {}


@pytest.mark.parametrize(
    "calls",
    [
        [stranger(NOW - days * DAY) for days in range(6, 0, -1)],
        nightly(6, 1, "scanner"),
        nightly(6, 1, status=404, outcome="rejected"),
    ],
    ids=["strangers", "ignored", "failing"],
)
def test_those_who_are_apart_make_no_difference(tmp_path: Path, calls: list[Record]) -> None:
    assert changed(reported(tmp_path, *KEPT, *calls, rules=[rule("scanner", ignore=True)])) == {}


# --- who has moved


def after(folder: Path, *records: Record, days: dict[tuple[str, int], CurrentDay]) -> CallerReport:
    """A report from a ledger with current calls."""
    address = str(folder / "callers.db")
    fill(address, *KEPT, *records)
    ledger = Ledger(engines.connect(address))
    ledger.add_current_calls(days)
    report = analyze(StoredLogs(ledger), [], NOW).report
    ledger.close()
    return report


def current(days: int, token: str = TOKEN) -> dict[tuple[str, int], CurrentDay]:
    moment = NOW - days * DAY + HOUR
    return {(token, moment.toordinal()): CurrentDay(5, moment, moment)}


@pytest.mark.parametrize(
    ("days", "kind"), [(current(3), "moved"), (current(10), "stopped"), (current(3, "ba9876543210"), "stopped")]
)
def test_who_makes_current_calls_after_the_last_old_one_has_moved(
    tmp_path: Path, days: dict[tuple[str, int], CurrentDay], kind: Kind
) -> None:
    report = after(tmp_path, *nightly(60, 8, token=TOKEN), call(NOW, "x", token="ba9876543210"), days=days)
    assert changed(report)["nightly"] == (kind, 7, 0)


def test_a_token_that_callers_share_shows_nothing(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"token": TOKEN}
    report = after(tmp_path, *nightly(60, 8, **shared), *nightly(60, 1, "other", **shared), days=current(3))
    assert changed(report) == {"nightly": ("stopped", 7, 0)}
