"""The commands that show what will happen, as their users call them."""

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.commands import log_options
from tests.callers.lines import DAY, NOW, beats, call, log
from tests.callers.test_golden_logs import GOLDEN
from tests.commands.test_reports import nightly, on_a_terminal, plain, rows
from tests.test_cli import Ran, Run, alone, run

__all__ = ["alone", "run"]  # fixtures

SUNSET = {"deprecated": "2025-12-01", "sunset": "2027-01-01"}


@pytest.fixture(autouse=True)
def then(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(log_options, "now", lambda: NOW)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def known(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "agent": f"{name}/*", **values}


@pytest.fixture
def planned(tmp_path: Path) -> Any:
    """Writes a policy, and a log beside it."""

    def write(lifecycle: dict[str, Any], *rules: dict[str, Any], records: Any = None) -> None:
        values = {"lifecycle": lifecycle, "callers": {"log": "calls.jsonl", "known": list(rules)}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
        if records is not None:
            (tmp_path / "calls.jsonl").write_bytes(log(*records))

    return write


LOG = [
    *beats(NOW - 40 * DAY),
    *nightly(40, 1, user_agent="nightly/1"),
    *nightly(40, 20, "moved", user_agent="moved/1"),
    *nightly(40, 2, "smoke", user_agent="smoke/1"),
]


def comments(ran: Ran) -> list[str]:
    """The comments, which stand under the configuration."""
    values, _, below = ran.out.partition("\n# ")
    assert yaml.safe_load(values)["listen"]
    lines = f"# {below}".splitlines()
    assert all(line.startswith("# ") for line in lines), lines
    return [line.removeprefix("# ") for line in lines]


# --- check


def test_a_brownout_of_ten_seconds_for_one_caller_is_announced(run: Run, planned: Any) -> None:
    window = {"from": "2026-11-24T10:00:00+01:00", "to": "2026-11-24T10:00:10+01:00", "callers": "nightly"}
    planned({"brownouts": [window]}, records=LOG)

    ran = run("check")

    assert ran.status == 0
    assert comments(ran) == [
        "phase: deprecated, since 2025-12-01 00:00 UTC",
        "in 9h, 2026-11-24 09:00 UTC, 2026-11-24 10:00 CET: brownout until 2026-11-24 09:00:10 UTC, for 10s",
        "  hits nightly",
    ]
    assert ran.said == (
        "trigger-shim: warning: lifecycle.brownouts[0]: begins in 9h, at 2026-11-24 09:00 UTC,"
        " until 2026-11-24 09:00:10 UTC; it hits nightly\n"
    )


def test_check_shows_the_next_changes_with_whom_they_hit(run: Run, planned: Any) -> None:
    noon = {"cron": "0 12 1 * *", "duration": 600, "time_zone": "Asia/Kolkata", "except": ["smoke"]}
    late = known("late", extension="2027-02-01")
    planned(SUNSET | {"brownouts": [noon]}, known("smoke", migrated="2026-11-30"), late, records=LOG)

    assert comments(run("check")) == [
        "phase: deprecated, since 2025-12-01 00:00 UTC",
        "in 6d, 2026-11-30 00:00 UTC, 2026-11-30 01:00 CET: migrated: refused from then on",
        "  hits smoke",
        "in 7d 6h, 2026-12-01 06:30 UTC, 2026-12-01 07:30 CET, 2026-12-01 12:00 IST:"
        " brownout until 2026-12-01 06:40 UTC, for 10m",
        "  hits nightly, moved (retired), late (never called)",
        "in 38d, 2027-01-01 00:00 UTC, 2027-01-01 01:00 CET: sunset: refused for good",
        "  hits nightly, moved (retired)",
        "in 38d 6h, 2027-01-01 06:30 UTC, 2027-01-01 07:30 CET, 2027-01-01 12:00 IST:"
        " brownout until 2027-01-01 06:40 UTC, for 10m",
        "  hits nobody in the log; late (never called)",
        "in 69d, 2027-02-01 00:00 UTC, 2027-02-01 01:00 CET: an extension ends: refused for good",
        "  hits nobody in the log; late (never called)",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "calls.jsonl: no log there yet: callers.known alone says who is hit"),
        (("--no-log",), "the log was not read: callers.known alone says who is hit"),
    ],
)
def test_without_a_log_check_says_so_and_goes_on(run: Run, planned: Any, options: tuple[str, ...], said: str) -> None:
    planned(SUNSET, known("late", extension="2027-02-01"), known("soon"), records=LOG if options else None)

    ran = run("check", *options)

    assert (ran.status, ran.err) == (0, "")
    assert comments(ran)[0] == said
    assert comments(ran)[3] == "  hits soon"


def test_the_name_of_the_log_stays_a_comment(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text('callers: {log: "a\\nlisten: evil"}')

    assert comments(run("check"))[0].startswith("a\\u000alisten: evil: no log there yet")


def test_a_freeze_is_not_held_against_anybody_where_there_is_no_log(run: Run, planned: Any) -> None:
    planned({"freeze": "2026-12-01"}, known("pilot"))
    assert comments(run("check"))[-1] == "  hits nobody that is known"

    planned({"freeze": "2026-12-01"}, known("pilot"), known("may", exempt_from_freeze=True), records=LOG)
    assert comments(run("check"))[-1] == "  hits nobody in the log; pilot (never called)"


def test_nothing_planned_is_said(run: Run) -> None:
    ran = run("check")

    assert (ran.status, ran.err) == (0, "")
    assert comments(ran)[1:] == ["phase: deprecated, since 2025-12-01 00:00 UTC", "nothing else is planned"]


def test_what_check_prints_with_a_policy_is_a_file_that_check_accepts(run: Run, planned: Any, tmp_path: Path) -> None:
    window = {"from": "2026-12-01", "to": "2026-12-02", "callers": ["a#b", "ä"], "except": ["\U0001f600"]}
    planned(
        SUNSET | {"brownouts": [window], "freeze": "2026-11-01"}, known("# x: [", migrated="2026-12-01"), records=LOG
    )
    printed = run("check")
    (tmp_path / "config.yaml").write_text(printed.out)

    assert run("check") == printed


def test_hostile_names_stay_comments(run: Run, planned: Any) -> None:
    names = ["a\nlisten: evil", "\x1b[31mred", "\u2028b", "\x85c", "x" * 500]
    planned(SUNSET, records=[call(NOW - DAY, name) for name in names])

    ran = run("check")

    assert all(line.isprintable() for line in ran.out.splitlines())
    assert yaml.safe_load(ran.out)["listen"] == "127.0.0.1:8080"
    assert comments(ran)[2].count(", ") == 4
    assert "x" * 100 not in ran.out


def test_each_thing_to_look_at_is_a_warning_and_no_failure(run: Run, planned: Any) -> None:
    brownouts = [
        {"from": "2026-11-24T10:00:00Z", "to": "2026-11-24T11:00:00Z"},
        {"from": "2026-11-24T10:30:00Z", "to": "2026-11-24T12:00:00Z", "callers": ["nightly", "nitghly"]},
        {"from": "2026-11-01", "to": "2026-11-02", "except": ["nobody"]},
        {"cron": "0 0 2 1 *", "duration": 60, "callers": "nightly"},
    ]
    rules = [known("smoke", migrated="2026-11-20"), known("idle", extension="2027-02-01")]
    planned(SUNSET | {"brownouts": brownouts}, *rules, records=LOG)

    ran = run("check")

    said = [line.removeprefix("trigger-shim: warning: ").split(":")[0] for line in ran.err.splitlines()]
    assert ran.status == 0
    assert said == [
        "lifecycle.brownouts[0]",
        "lifecycle.brownouts[1]",
        "lifecycle.brownouts[2]",
        "lifecycle.brownouts[3]",
        "lifecycle.brownouts[0]",
        "lifecycle.brownouts[1].callers",
        "lifecycle.brownouts[2].except",
        "callers.known[1]",
        "callers.known[0].migrated",
        "callers.known[1].extension",
    ]


def test_a_log_without_calls_is_no_reason_to_warn(run: Run, planned: Any) -> None:
    brownout = {"from": "2026-12-24", "to": "2026-12-25", "callers": "zzz"}
    planned(SUNSET | {"brownouts": [brownout]}, known("idle", extension="2027-02-01"), records=beats(NOW - DAY))

    assert run("check").err == ""


# --- lifecycle

POLICY = SUNSET | {
    "freeze": "2026-11-10",
    "brownouts": [{"from": "2026-12-01T10:00:00Z", "to": "2026-12-01T10:00:10Z", "callers": "nightly"}],
}
RULES = [known("moved", owner="team-b", migrated="2026-11-20"), known("late", owner="team-c", extension="2027-02-01")]


@pytest.fixture
def policy(planned: Any) -> None:
    planned(POLICY, *RULES, records=[*LOG, call(NOW - 2 * DAY, "begun")])


def gets(run: Run, at: str, *options: str) -> dict[str, tuple[str, str]]:
    """The phase and the answer, by caller."""
    ran = run("lifecycle", "--at", at, *options)
    assert (ran.status, ran.err) == (0, "")
    titles, *found = rows(ran.out.partition("\n\n")[2])
    assert titles == ["caller", "owner", "state", "phase", "a call gets", "Deprecation", "Sunset"]
    return {row[0]: (row[3], row[4]) for row in found}


BROWNOUT = ("brownout", "410 EndpointBrownout until 2026-12-01 10:00:10 UTC")
GONE = ("sunset", "410 EndpointWithdrawn: sunset")


@pytest.mark.parametrize(
    ("at", "nightly"),
    [
        ("2026-12-01T09:59:59.999999Z", ("deprecated", "forwarded")),
        ("2026-12-01T10:00:00Z", BROWNOUT),
        ("2026-12-01T11:00:09.999999+01:00", BROWNOUT),
        ("2026-12-01T10:00:10Z", ("deprecated", "forwarded")),
        ("2026-12-31T23:59:59Z", ("deprecated", "forwarded")),
        ("2027-01-01", GONE),
        ("+37d", ("deprecated", "forwarded")),
        ("+38d", GONE),
        ("520d", ("announced", "forwarded")),
    ],
)
@pytest.mark.usefixtures("policy")
def test_lifecycle_says_what_a_call_gets_at_a_time(run: Run, at: str, nightly: tuple[str, str]) -> None:
    assert gets(run, at)["nightly"] == nightly


@pytest.mark.usefixtures("policy")
def test_lifecycle_tells_of_everybody_else_too(run: Run) -> None:
    assert gets(run, "2026-12-01T10:00:05Z") == {
        "nightly": BROWNOUT,
        "smoke": ("deprecated", "forwarded"),
        "begun": ("deprecated", "410 EndpointWithdrawn: no new callers"),
        "moved": ("sunset", "410 EndpointWithdrawn: migrated"),
        "late": ("deprecated", "410 EndpointWithdrawn: no new callers"),
    }
    assert gets(run, "2027-01-31T23:59:59Z")["nightly"] == GONE


def test_after_the_sunset_every_call_is_refused_but_the_one_with_an_extension(run: Run, planned: Any) -> None:
    planned(SUNSET, *RULES, records=[*LOG, *nightly(5, 1, "late", user_agent="late/1")])

    answers = {name: answer for name, (_, answer) in gets(run, "2027-01-31").items()}
    assert answers.pop("late") == "forwarded"
    assert {answer[:25] for answer in answers.values()} == {"410 EndpointWithdrawn: su", "410 EndpointWithdrawn: mi"}
    assert gets(run, "2027-02-01")["late"] == GONE


@pytest.mark.usefixtures("policy")
def test_lifecycle_of_one_caller_as_json(run: Run) -> None:
    ran = run("lifecycle", "--at", "2026-12-01T10:00:05Z", "--caller", "nightly", "--format", "json")

    assert json.loads(ran.out) == {
        "at": "2026-12-01T10:00:05Z",
        "callers": [
            {
                "caller": "nightly",
                "owner": None,
                "state": "active",
                "last_seen": "2026-11-23T00:00:00Z",
                "phase": "brownout",
                "outcome": "brownout",
                "status": 410,
                "error_code": "EndpointBrownout",
                "reason": "brownout",
                "until": "2026-12-01T10:00:10Z",
                "deprecation": "@1764547200",
                "sunset": "Fri, 01 Jan 2027 00:00:00 GMT",
            }
        ],
    }


@pytest.mark.usefixtures("policy")
def test_a_known_caller_that_never_called_is_told_of_as_such(run: Run) -> None:
    ran = run("lifecycle", "--caller", "late")

    [_, row] = rows(ran.out.partition("\n\n")[2])
    assert row[:3] == ["late", "team-c", "not in the log"]
    assert row[6] == "Mon, 01 Feb 2027 00:00:00 GMT"
    [found] = json.loads(run("lifecycle", "--caller", "late", "--format", "json").out)["callers"]
    assert (found["state"], found["last_seen"], found["outcome"]) == (None, None, "gone")


@pytest.mark.usefixtures("policy")
def test_a_name_that_is_nobodys_gets_the_nearest_ones(run: Run) -> None:
    ran = run("lifecycle", "--caller", "ligth")
    assert (ran.status, ran.out) == (1, "")
    assert ran.said == (
        "trigger-shim: error: ligth: no such caller in the log or in callers.known; did you mean nightly, late?\n"
    )
    assert "\\u001bzzzz" in run("lifecycle", "--caller", "\x1bzzzz").said


@pytest.mark.usefixtures("policy")
def test_now_is_where_no_time_is_given(run: Run) -> None:
    assert run("lifecycle").out.startswith("At 2026-11-24 00:00 UTC the phase is deprecated.\n")
    assert run("lifecycle", "--at", "+90s").status == 2
    assert run("lifecycle", "--at", "+2h").out.startswith("At 2026-11-24 02:00 UTC ")


@pytest.mark.parametrize("at", ["tomorrow", "+", "+5", "-2h", "++2h", "0001-01-01", "9999-12-31T23:59:59Z"])
@pytest.mark.usefixtures("policy")
def test_a_wrong_time_exits_2_and_says_what_to_write(run: Run, at: str) -> None:
    ran = run("lifecycle", f"--at={at}")

    assert (ran.status, ran.out) == (2, "")
    assert "argument --at: " in ran.err.splitlines()[-1]


@pytest.mark.usefixtures("policy")
def test_other_logs_can_be_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(log(*nightly(9, 1, "elsewhere")))

    assert set(gets(run, "2026-12-01", "other")) == {"elsewhere", "moved", "late"}
    assert set(gets(run, "2026-12-01", "--caller", "elsewhere", "other")) == {"elsewhere"}
    gone = run("lifecycle", "gone")
    assert (gone.status, gone.out) == (2, "")
    assert gone.said.startswith("trigger-shim: error: gone: ")


def test_where_there_is_no_log_the_known_ones_are_told_of(run: Run, planned: Any) -> None:
    planned(SUNSET, *RULES)
    ran = run("lifecycle")

    assert ran.status == 0
    assert ran.said.startswith("trigger-shim: warning: calls.jsonl: no log there yet")
    assert [row[0] for row in rows(ran.out.partition("\n\n")[2])[1:]] == ["moved", "late"]


@pytest.mark.parametrize("form", ["table", "json"])
def test_what_callers_have_written_stays_text(run: Run, form: str) -> None:
    ran = run("lifecycle", "--format", form, str(GOLDEN / "hostile" / "callers.jsonl"))

    assert ran.status == 0
    assert all(line.isprintable() for line in ran.out.split("\n"))


@pytest.mark.parametrize(("columns", "titles"), [(160, 7), (130, 6), (100, 4), (70, 2)])
@pytest.mark.usefixtures("policy")
def test_a_narrow_terminal_shows_the_answers_in_full(columns: int, titles: int) -> None:
    shown = plain(on_a_terminal(["lifecycle", "--at", "2026-12-01T10:00:05Z"], columns))

    assert len(re.split(r"  +", shown[2].strip())) == titles
    assert max(map(len, shown)) <= columns
    assert any("410 EndpointBrownout until 2026-12-01 10:00:10 UTC" in line for line in shown)


# --- callers, with a policy


def test_callers_has_a_column_for_what_comes_next(run: Run, planned: Any) -> None:
    planned(POLICY, *RULES, records=LOG)

    titles, *found = rows(run("callers").out)

    assert titles[-2:] == ["state", "next"]
    assert {row[0]: row[-1] for row in found} == {
        "nightly": "brownout 2026-12-01 10:00",
        "smoke": "sunset 2027-01-01",
        "moved": "refused",
    }


def test_the_gate_does_not_wait_for_who_is_refused(run: Run, planned: Any) -> None:
    gone = [call(NOW - days * DAY, status=410, outcome="gone") for days in (4, 3, 2, 1)]
    records = [*beats(NOW - 40 * DAY), *nightly(40, 5), *gone]
    planned({"sunset": "2026-11-20"}, records=records)
    assert run("callers", "--fail-if-active", "14d").status == 0

    planned({}, records=records)
    assert run("callers", "--fail-if-active", "14d").status == 1


@pytest.mark.parametrize(
    ("columns", "callers", "titles"),
    [
        (140, "nightly", {"trend", "interval", "next"}),
        (108, "nightly", {"interval", "errors", "user", "next"}),
        (80, "nightly", {"next"}),
        (60, "nightly", set()),
        (76, "zzz", {"interval", "errors", "user", "owner"}),
    ],
)
def test_a_narrow_terminal_does_without_the_plans_before_it_cuts_names(
    planned: Any, columns: int, callers: str, titles: set[str]
) -> None:
    window = {"from": "2126-12-01T10:00:00Z", "to": "2126-12-01T10:10:00Z", "callers": callers}
    planned({"brownouts": [window]}, records=[*LOG, *([call(NOW - 2 * DAY, "zzz")] if callers == "zzz" else [])])

    options = ["--state", "active", "--sort", "calls", "--limit", "1", "--until", "2026-11-24"]
    shown = plain(on_a_terminal(["callers", *options], columns))

    assert titles <= set(shown[0].split())
    assert ("next" in shown[0]) is ("next" in titles)
    assert max(map(len, shown[:2])) <= columns


def test_the_time_is_the_real_one_where_no_test_has_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    assert abs(log_options.now() - datetime.now(NOW.tzinfo)) < timedelta(minutes=5)
