import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.callers.identity import Rule
from proxy.callers.record import CLOCK_SKEW, EARLIEST, Record
from proxy.callers.render.formats import to_json
from proxy.callers.report.analysis import Logs, analyze
from proxy.callers.report.report import CallerReport, still_calling
from tests.callers.lines import DAY, NOW, beats, call, line, log, nightly
from tests.callers.policies import rule
from tests.callers.reports import analyzed, mixed, reported


def test_records_may_be_spread_over_files_in_any_way(tmp_path: Path) -> None:
    records = mixed(3)
    (tmp_path / "all").write_bytes(log(*records))
    for part in range(7):
        (tmp_path / str(part)).write_bytes(log(*records[part::7]))
    parts = analyze(Logs([str(tmp_path / str(part)) for part in range(7)]), [], NOW)

    assert parts.report == analyze(Logs([str(tmp_path / "all")]), [], NOW).report
    assert parts.read.files == 7


def test_details_are_kept_for_the_requested_callers_only(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(log(call(client_ip="10.1.2.3"), call(caller="other", client_ip="10.9.9.9")))
    details = analyze(Logs([str(tmp_path / "log")]), [], NOW, wants_detail="nightly".__eq__).details

    assert {name: detail.counts["addresses"] for name, detail in details.items()} == {"nightly": {"10.1.2.3": 1}}


# --- clocks that are wrong

MOMENTS = [
    datetime(1970, 1, 1, 0, 0, 7, tzinfo=NOW.tzinfo),
    EARLIEST - timedelta(microseconds=1),
    NOW + CLOCK_SKEW,
    datetime(2036, 2, 7, tzinfo=NOW.tzinfo),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("options", [{}, {"since": NOW - 5 * DAY}, {"until": NOW}])
def test_a_record_whose_time_cannot_be_right_is_skipped_with_a_warning(
    tmp_path: Path, moment: datetime, options: dict[str, datetime], capsys: pytest.CaptureFixture[str]
) -> None:
    kept: list[Record] = [*beats(NOW - 3 * DAY), call()]
    [wrong] = beats(moment, moment)
    expected = analyzed(tmp_path, *kept, **options)
    found = analyzed(tmp_path, *kept, call(moment), wrong, **options)

    assert found.report == expected.report
    assert (found.read.calls, found.read.heartbeats, found.read.skipped) == (1, 4, 2)
    assert capsys.readouterr().err == (
        "trigger-shim: warning: skipped 2 records from before 2020-01-01 or after 2026-11-24 00:10 UTC:"
        " a clock was wrong\n"
    )


def test_clocks_may_differ_a_little(tmp_path: Path) -> None:
    assert analyzed(tmp_path, call(NOW + CLOCK_SKEW - timedelta(seconds=1))).read.skipped == 0


@pytest.mark.parametrize("interval", [1e308, -1.0, 366 * 86400.5])
def test_a_heartbeat_with_an_interval_that_cannot_be_right_is_skipped(tmp_path: Path, interval: float) -> None:
    [beat] = beats(NOW)
    (tmp_path / "log").write_bytes(line(msgspec.structs.replace(beat, interval=interval)) + log(*beats(NOW - DAY)))

    assert analyze(Logs([str(tmp_path / "log")]), [], NOW).read[1:] == (0, 2, 1)


# --- records that cannot be read

TORN = line(call(NOW - 20 * DAY))[:100] + b"\n"


def torn(folder: Path, *records: Record) -> CallerReport:
    """The report on a log with half a record of 20 days ago."""
    (folder / "log").write_bytes(TORN + log(*beats(NOW - 80 * DAY), *records))
    return analyze(Logs([str(folder / "log")]), [], NOW).report


def test_a_record_that_cannot_be_read_keeps_the_verdict_from_safe(tmp_path: Path) -> None:
    report = torn(tmp_path)

    assert (report.verdict, report.safe_at) == ("cannot_tell", NOW + 42 * DAY)
    assert report.reasons == [
        f"1 part of the log that may be a call cannot be read: {tmp_path}/log:1; the last was written by"
        " 2026-11-04 00:00 and matters until 2027-01-05"
    ]


def test_those_who_still_call_come_first(tmp_path: Path) -> None:
    report = torn(tmp_path, call(NOW - DAY))

    assert (report.verdict, report.safe_at) == ("not_yet", NOW + 61 * DAY)
    assert [reason.split()[0] for reason in report.reasons] == ["nightly", "1"]


@pytest.mark.parametrize(("days", "gate"), [(19, "nobody"), (20, "unknown")])
def test_a_gate_cannot_tell_if_a_record_of_its_window_cannot_be_read(tmp_path: Path, days: int, gate: str) -> None:
    assert still_calling(torn(tmp_path), days * DAY) == gate


def test_no_output_lists_days_before_the_log_can_begin(tmp_path: Path) -> None:
    found = analyzed(tmp_path, call(), since=datetime(1, 1, 1, tzinfo=NOW.tzinfo))

    assert found.report.coverage.period.begin == EARLIEST
    report = json.loads("".join(to_json(found.report, found.report.rows, found.read)))
    assert len(report["callers"][0]["by_day"]) == len(found.report.days)


def test_several_fingerprint_keys_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = beats(NOW - 2 * DAY)
    analyzed(tmp_path, first, msgspec.structs.replace(second, key="a"))
    assert capsys.readouterr().err == ""

    analyzed(tmp_path, first, msgspec.structs.replace(second, key="a"), msgspec.structs.replace(third, key="b"))
    assert "several fingerprint keys" in capsys.readouterr().err


# --- ignored callers


def test_a_caller_that_a_rule_ignores_is_apart_and_has_no_say(tmp_path: Path) -> None:
    calls = nightly(80, 1, "scanner")
    report = reported(tmp_path, *beats(NOW - 80 * DAY), *calls, rules=[rule("scanner", ignore=True, every=400 * DAY)])

    [row] = report.ignored
    assert (row.name, row.state, row.calls, row.retired_at) == ("scanner", "ignored", 80, None)
    assert (report.callers, report.rows) == ([], [row])
    assert (report.verdict, report.safe_at) == ("safe", None)
    assert report.reasons[0].startswith("nobody but ignored callers has called; the log covers 80d.")
    assert still_calling(report, 7 * DAY) == "nobody"


def test_ignored_callers_are_a_group_of_their_own(tmp_path: Path) -> None:
    rules = [rule("scanner", owner="team-a", ignore=True), rule("nightly", owner="team-a")]
    report = reported(tmp_path, *nightly(3, 1), *nightly(9, 1, "scanner"), rules=rules, by="owner")

    assert [(row.name, row.state, row.calls) for row in report.rows] == [
        ("team-a", "active", 3),
        ("(ignored)", "ignored", 9),
    ]


@pytest.mark.parametrize(("second", "state"), [(True, "ignored"), (False, "active")])
def test_a_caller_is_ignored_if_all_its_rules_say_so(tmp_path: Path, second: bool, state: str) -> None:
    rules = [rule("nightly", ignore=True), Rule("nightly", workflows=("other",), ignore=second)]
    report = reported(tmp_path, *nightly(3, 1), call(NOW - DAY, user_agent="x", workflow="other"), rules=rules)

    assert [(row.name, row.state) for row in report.rows] == [("nightly", state)]


@pytest.mark.parametrize(("promised", "is_broken"), [(NOW - DAY, True), (NOW - timedelta(hours=23), False)])
def test_a_promise_is_broken_by_a_call_from_then_on(tmp_path: Path, promised: datetime, is_broken: bool) -> None:
    [row] = reported(tmp_path, *nightly(3, 1), rules=[rule("nightly", promised=promised, note="n")]).callers

    assert (row.promised, row.note, row.has_broken_promise) == (promised, "n", is_broken)


# --- callers of which no call ever worked

FAILED: dict[str, Any] = {"status": 404, "outcome": "upstream_error"}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "failing"),
        ({"status": 400, "outcome": "rejected"}, "failing"),
        ({"status": 410, "outcome": "brownout"}, "failing"),
        ({"status": 503, "outcome": "overloaded"}, "failing"),
        ({"status": 200, "outcome": "forwarded"}, "active"),
        ({"status": 504, "outcome": "timeout"}, "active"),
        ({"status": 500, "outcome": "interrupted"}, "active"),
        ({"status": 502, "outcome": "upstream_error"}, "active"),
    ],
)
def test_a_caller_is_failing_if_none_of_its_calls_can_have_worked(
    tmp_path: Path, fields: dict[str, Any], state: str
) -> None:
    failed = nightly(9, 2, **FAILED)
    report = reported(tmp_path, *beats(NOW - 80 * DAY), *failed, call(NOW - DAY, **{**FAILED, **fields}))

    assert [row.state for row in report.rows] == [state]
    assert (report.verdict == "safe", len(report.failing)) == (state == "failing", state == "failing")


@pytest.mark.parametrize(
    "fields",
    [
        {"status": 410, "outcome": "gone"},
        {"status": 410, "outcome": "brownout"},
        {"status": 429, "outcome": "upstream_error"},
        {"status": 502, "outcome": "unreachable"},
    ],
)
def test_a_caller_that_was_only_refused_for_a_while_is_not_failing(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert [row.state for row in reported(tmp_path, *nightly(9, 1, **fields)).callers] == ["active"]


def test_what_works_elsewhere_is_not_failing_in_any_group(tmp_path: Path) -> None:
    report = reported(tmp_path, *nightly(9, 1), *nightly(9, 1, repo="gone", **FAILED), by="repo")

    assert {row.name: row.state for row in report.rows} == {"acme/shop": "active", "acme/gone": "active"}


def test_a_success_outside_of_the_period_counts(tmp_path: Path) -> None:
    report = reported(tmp_path, *nightly(9, 9), *nightly(8, 1, **FAILED), since=NOW - 5 * DAY)

    assert [(row.state, row.failures) for row in report.rows] == [("active", {404: 5})]


def test_an_expected_caller_that_fails_is_not_waited_for(tmp_path: Path) -> None:
    report = reported(tmp_path, *beats(NOW - 80 * DAY), *nightly(9, 1, **FAILED), expected={"nightly": 200 * DAY})

    assert report.verdict == "safe"
