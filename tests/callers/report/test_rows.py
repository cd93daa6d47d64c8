from pathlib import Path

from proxy.callers.record import Record
from tests.callers.lines import DAY, NOW, beats, call, nightly
from tests.callers.reports import reported, row_of


def test_the_most_recent_user_comes_first(tmp_path: Path) -> None:
    days = {"alice": 5, "bob": 2, "carol": 3}
    row = row_of(reported(tmp_path, *(call(NOW - days[user] * DAY, run_user=user) for user in days)))

    assert (row.user, row.users) == ("bob", ["bob", "carol", "alice"])


def test_a_group_has_the_state_of_its_most_active_caller(tmp_path: Path) -> None:
    gone = [call(NOW - (33 + day) * DAY, "gone", owner="team-a") for day in range(100)]
    monthly = [call(NOW - days * DAY, "monthly", owner="team-a") for days in (25, 55, 85, 115)]
    report = reported(tmp_path, *gone, *monthly, *beats(NOW - 140 * DAY), by="owner")

    [row] = report.rows
    states = {caller.name: caller.state for caller in report.callers}
    assert states == {"gone": "retired", "monthly": "active"}
    assert (row.name, row.callers, row.calls, row.state, row.source) == ("team-a", 2, 104, "active", None)


def test_rows_are_sorted_by_state_then_by_calls(tmp_path: Path) -> None:
    records: list[Record] = [
        *beats(NOW - 100 * DAY),
        *(call(NOW - 90 * DAY, "gone") for _ in range(9)),
        call(NOW - DAY, "one"),
        *(call(NOW - DAY, "two") for _ in range(2)),
    ]

    assert [row.name for row in reported(tmp_path, *records).rows] == ["two", "one", "gone"]


def test_a_gap_in_the_log_delays_retirement(tmp_path: Path) -> None:
    kept = row_of(reported(tmp_path, *beats(NOW - 60 * DAY), *nightly(60, 10)))
    [partly] = reported(
        tmp_path, *beats(NOW - 60 * DAY, NOW - 8 * DAY), *beats(NOW - 6 * DAY, instance="b:1"), *nightly(60, 10)
    ).callers

    assert (kept.state, kept.retired_at) == ("quiet", NOW + 22.5 * DAY)
    assert (partly.state, partly.retired_at) == ("quiet", NOW + 24.5 * DAY)
