from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.callers.lines import DAY, NOW, beats, call
from tests.commands.running import Ran, Run
from tests.commands.samples import LOG, SUNSET, known

pytestmark = pytest.mark.usefixtures("fixed_time")

SECRET = "s3cret-S3cret-s3cret"


def comments(ran: Ran) -> list[str]:
    """The comments, which stand under the configuration. The last one says which file was read."""
    values, _, below = ran.out.partition("\n# ")
    assert yaml.safe_load(values)["listen"]
    lines = f"# {below}".splitlines()
    assert all(line.startswith("# ") for line in lines), lines
    found = [line.removeprefix("# ") for line in lines]
    assert "can be used" in found[-1] or "no file was read" in found[-1]
    return found[:-1]


def test_check_prints_the_effective_configuration(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shim.yaml").write_text("upstream: {timeout: 9, url: https://file.example}\nadmin: null\n")
    monkeypatch.setenv("TRIGGER_SHIM__LIMITS__DRAIN", "2")
    monkeypatch.setenv("TRIGGER_SHIM__LISTEN", "127.0.0.1:1")

    ran = run("check", "--config", "shim.yaml", "--listen", "[::1]:2", "--upstream", "https://flag.example")

    assert (ran.status, ran.err) == (0, "")
    values = yaml.safe_load(ran.out)
    assert values["admin"] is None
    assert values["listen"] == "[::1]:2"
    assert values["limits"]["drain"] == 2
    assert (values["upstream"]["url"], values["upstream"]["timeout"]) == ("https://flag.example", 9)


def test_what_check_prints_is_a_file_that_check_accepts(run: Run, tmp_path: Path) -> None:
    printed = run("check").out
    (tmp_path / "config.yaml").write_text(printed)
    *same, last = printed.splitlines(keepends=True)

    assert last == "# no file was read: there is no config.yaml here, and --config names none\n"
    assert run("check") == Ran(0, "".join([*same, "# config.yaml can be used\n"]), "")


def test_check_says_all_problems_a_line_each(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text("lisen: x\nlimits: {drain: 0}\n")
    monkeypatch.setenv("TRIGGER_SHIM__UPSTREAM__TIMEOUT", "soon")

    ran = run("check", "--listen", "nowhere")

    assert (ran.status, ran.out) == (2, "")
    said = ran.err.splitlines()
    assert all(line.startswith("trigger-shim: error: ") for line in said)
    keys = ["limits.drain", "lisen", "listen", "upstream.timeout"]
    assert sorted(line.split(": ")[2] for line in said) == keys


def test_a_missing_file_exits_2_with_its_name(run: Run) -> None:
    ran = run("check", "--config", "gone.yaml")

    assert (ran.status, ran.out) == (2, "")
    assert "gone.yaml" in ran.said


def test_check_does_not_print_the_secret(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY", SECRET)
    assert SECRET not in "".join(run("check")[1:])

    monkeypatch.setenv("TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY", SECRET[:15])
    ran = run("check")
    assert ran.status == 2
    assert SECRET[:15] not in ran.out + ran.err


def test_a_brownout_of_ten_seconds_for_one_caller_is_announced(run: Run, planned: Any) -> None:
    window = {"from": "2026-11-24T10:00:00+01:00", "to": "2026-11-24T10:00:10+01:00", "callers": "nightly"}
    planned({"brownouts": [window]}, records=LOG)

    ran = run("check")

    assert ran.status == 0
    assert comments(ran) == [
        "phase: deprecated, since 2025-12-01 00:00 UTC",
        "in 9h, 2026-11-24 09:00 UTC, 2026-11-24 10:00 CET: brownout until 2026-11-24 09:00:10 UTC, for 10s",
        "  affects nightly",
    ]
    assert ran.said == (
        "trigger-shim: warning: lifecycle.brownouts[0]: begins in 9h, at 2026-11-24 09:00 UTC,"
        " and ends at 2026-11-24 09:00:10 UTC; affects nightly\n"
    )


def test_check_shows_the_next_changes_with_whom_they_hit(run: Run, planned: Any) -> None:
    noon = {"cron": "0 12 1 * *", "duration": 600, "time_zone": "Asia/Kolkata", "except": ["smoke"]}
    late = known("late", extension="2027-02-01")
    planned(SUNSET | {"brownouts": [noon]}, known("smoke", migrated="2026-11-30"), late, records=LOG)

    assert comments(run("check")) == [
        "phase: deprecated, since 2025-12-01 00:00 UTC",
        "in 6d, 2026-11-30 00:00 UTC, 2026-11-30 01:00 CET: migrated: permanently refused",
        "  affects smoke",
        "in 7d 6h, 2026-12-01 06:30 UTC, 2026-12-01 07:30 CET, 2026-12-01 12:00 IST:"
        " brownout until 2026-12-01 06:40 UTC, for 10m",
        "  affects nightly, moved (retired), late (never called)",
        "in 38d, 2027-01-01 00:00 UTC, 2027-01-01 01:00 CET: sunset: permanently refused",
        "  affects nightly, moved (retired)",
        "in 38d 6h, 2027-01-01 06:30 UTC, 2027-01-01 07:30 CET, 2027-01-01 12:00 IST:"
        " brownout until 2027-01-01 06:40 UTC, for 10m",
        "  affects nobody in the log; late (never called)",
        "in 69d, 2027-02-01 00:00 UTC, 2027-02-01 01:00 CET: end of an extension: permanently refused",
        "  affects nobody in the log; late (never called)",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "calls.jsonl: there is no log yet: only the callers in callers.known are listed"),
        (("--no-log",), "the log was not read: only the callers in callers.known are listed"),
    ],
)
def test_without_a_log_check_says_so_and_goes_on(run: Run, planned: Any, options: tuple[str, ...], said: str) -> None:
    late = known("late", extension="2027-02-01", network="10.9.0.0/24")
    planned(SUNSET, late, known("soon"), records=LOG if options else None)

    ran = run("check", *options)

    assert (ran.status, ran.err) == (0, "")
    assert comments(ran)[0] == said
    assert comments(ran)[3] == "  affects soon"


def test_the_name_of_the_log_stays_a_comment(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text('callers: {log: "a\\nlisten: evil"}')

    assert comments(run("check"))[0].startswith("a\\u000alisten: evil: there is no log yet")


def test_a_freeze_is_not_held_against_anybody_where_there_is_no_log(run: Run, planned: Any) -> None:
    planned({"freeze": "2026-12-01"}, known("pilot"))
    assert comments(run("check"))[-1] == "  affects no known caller"

    planned({"freeze": "2026-12-01"}, known("pilot"), known("may", exempt_from_freeze=True), records=LOG)
    assert comments(run("check"))[-1] == "  affects nobody in the log; pilot (never called)"


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
        "lifecycle.brownouts[3]",
        "lifecycle.brownouts[1].callers",
        "lifecycle.brownouts[2].except",
        "callers.known[1]",
        "callers.known[0].migrated",
        "callers.known[1].extension",
        "callers.known[0].migrated",
        "callers.known[1].extension",
    ]


def test_a_log_without_calls_is_no_reason_to_warn(run: Run, planned: Any) -> None:
    brownout = {"from": "2026-12-24", "to": "2026-12-25", "callers": "zzz"}
    idle = known("idle", extension="2027-02-01", network="10.9.0.0/24")
    planned(SUNSET | {"brownouts": [brownout]}, idle, records=beats(NOW - DAY))

    assert run("check").err == ""
