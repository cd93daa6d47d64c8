import csv
import gzip
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.callers.record import Record
from tests.callers.lines import DAY, NOW, beats, call, log
from tests.commands.running import COMMAND, Run, Screen, environment, on_a_terminal, plain
from tests.commands.samples import LOG, POLICY, RULES, UNTIL, nightly, rows
from tests.support.ledgers import fill
from tests.support.paths import ROOT
from tests.support.processes import heeding, running
from tests.support.terminals import Terminal, read_until
from tests.system.golden import GOLDEN


def test_the_table_says_who_whose_how_often_and_whether_it_is_over(run: Run, file: str) -> None:
    ran = run("callers", *UNTIL, file)

    assert ran.status == 0
    titles, first, second, third = rows(ran.out)
    assert titles == ["caller", "owner", "user", "calls", "trend", "last seen", "interval", "errors", "state"]
    assert first[:4] == ["nightly", "team-a", "alice", "40"]
    assert first[5:] == ["2026-11-23 00:00", "1d", "0%", "active"]
    assert second[:4] == ["10.1.2.3 curl/8", "-", "-", "29"]
    assert second[-2:] == ["100%", "active"]
    assert third[:4] == ["moved", "team-b", "bob", "41"]
    assert third[-1] == "retired"
    changed, _, below = ran.out.split("\n\n")
    assert changed == "since last week: nobody new, back or gone"
    assert below.splitlines() == [
        "1 of 3 callers retired. A job is retired after a silence of 31 days and 1.5 times its usual pause, or at least"
        " 62 days if its rhythm is not known; a caller, when all its jobs are.",
        "The log covers 100% of 2026-09-05 00:00 to 2026-11-24 00:00 UTC.",
        "Verdict: not yet; 2027-01-23 00:00 at the earliest, if nobody calls again"
        " (the last caller is 10.1.2.3 curl/8)",
        "  nightly of team-a is active: last call 2026-11-23 00:00; retired on 2026-12-25 if it never calls again",
        "  10.1.2.3 curl/8 is active: last call 2026-11-22 00:00, and all its calls fail;"
        " retired on 2027-01-23 if it never calls again",
    ]
    assert ran.said == "trigger-shim: Read 110 calls and 81 heartbeats in 1 file; skipped 0 lines.\n"


def test_a_plain_table_is_not_cut_and_has_no_colour(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(log(call(caller="x" * 400)))
    ran = run("callers", *UNTIL, "log")

    assert "x" * 400 in ran.out
    assert "\x1b" not in ran.out
    assert all(line == line.rstrip() for line in ran.out.splitlines())


def test_many_reasons_are_cut_for_people_only(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(log(*(call(caller=f"c{number}") for number in range(12))))

    assert run("callers", *UNTIL, "log").out.endswith("\n  and 2 more\n")
    assert len(json.loads(run("callers", *UNTIL, "--format", "json", "log").out)["reasons"]) == 12


def test_json_is_what_the_readme_says(run: Run, file: str) -> None:
    ran = run("callers", *UNTIL, "--format", "json", file)
    report = json.loads(ran.out)

    assert list(report) == [
        "generated_at", "verdict", "reasons", "safe_at", "coverage", "read", "total", "retired", "marks", "compared",
        "days", "callers", "failing", "ignored", "strangers",
    ]  # fmt: skip
    assert (report["verdict"], report["total"], report["retired"]) == ("not_yet", 3, 1)
    assert report["coverage"] == {
        "share": 1.0, "since": "2026-09-05T00:00:00Z", "until": "2026-11-24T00:00:00Z", "gaps": [],
    }  # fmt: skip
    assert report["read"] == {"files": 1, "calls": 110, "heartbeats": 81, "skipped": 0}
    nightly = report["callers"][0]
    assert nightly.pop("by_day") == [0] * 40 + [1] * 40 + [0]
    assert nightly == {
        "caller": "nightly",
        "source": "known",
        "predecessor": None,
        "owner": "team-a",
        "contact": None,
        "note": None,
        "promised": None,
        "user": "alice",
        "users": ["alice"],
        "calls": 40,
        "first_seen": "2026-10-15T00:00:00Z",
        "last_seen": "2026-11-23T00:00:00Z",
        "interval": 86400.0,
        "error_share": 0.0,
        "state": "active",
        "retired_at": "2026-12-25T12:00:00Z",
        "endpoints": {"trigger": 40},
        "repositories": {"acme/shop": 40},
        "workflows": {"build": 40},
        "agents": {"(none)": 40},
        "outcomes": {"forwarded": 40},
        "replacements": {"POST /repos/acme/shop/cicd/runs": 40},
        "failures": {},
        "next": None,
        "refused": None,
    }


def test_json_of_groups_names_them_for_what_they_are(run: Run, file: str) -> None:
    report = json.loads(run("callers", *UNTIL, "--format", "json", "--by", "owner", file).out)

    assert "callers" not in report
    assert [(row["owner"], row["callers"], row["state"]) for row in report["owners"]] == [
        ("team-a", 1, "active"),
        ("(none)", 1, "active"),
        ("team-b", 1, "retired"),
    ]


def test_csv_has_a_line_a_row_in_units_for_machines(run: Run, file: str) -> None:
    [first, *_] = csv.DictReader(io.StringIO(run("callers", *UNTIL, "--format", "csv", file).out))

    assert first == {
        "caller": "nightly",
        "callers": "1",
        "owner": "team-a",
        "contact": "",
        "user": "alice",
        "calls": "40",
        "first_seen": "2026-10-15T00:00:00Z",
        "last_seen": "2026-11-23T00:00:00Z",
        "interval": "86400.0",
        "error_share": "0.0",
        "state": "active",
        "retired_at": "2026-12-25T12:00:00Z",
        "note": "",
        "promised": "",
        "next_at": "",
        "next_kind": "",
        "endpoints": "trigger",
        "repositories": "acme/shop",
        "workflows": "build",
        "agents": "(none)",
    }


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
def test_what_callers_have_written_stays_text(run: Run, form: str) -> None:
    ran = run("callers", *UNTIL, "--format", form, str(GOLDEN / "hostile" / "callers.jsonl"))

    assert ran.status == 0
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(ran.out)) for cell in row]
        assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r")]
        return
    assert all(line.isprintable() for line in ran.out.split("\n")), form
    if form == "markdown":
        table = [line for line in ran.out.splitlines() if line.startswith("| ")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {10}
        assert not re.search(r"<script|[`*_\[]", re.sub("(`+).*?[^`]\\1(?!`)", "", ran.out))


def test_markdown_has_the_table_and_the_verdict(run: Run, file: str) -> None:
    out = run("callers", *UNTIL, "--format", "markdown", file).out

    assert out.splitlines()[2].startswith("| caller | owner | user | calls |")
    assert "| `nightly` | `team-a` | `alice` | 40 |" in out
    assert "\n- Verdict: not yet; 2027-01-23 00:00 at the earliest" in out


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--state", "retired"), ["moved"]),
        (("--state", "retired", "--state", "active"), ["nightly", "10.1.2.3 curl/8", "moved"]),
        (("--sort", "name"), ["10.1.2.3 curl/8", "moved", "nightly"]),
        (("--sort", "calls"), ["moved", "nightly", "10.1.2.3 curl/8"]),
        (("--sort", "errors"), ["10.1.2.3 curl/8", "nightly", "moved"]),
        (("--sort", "last_seen"), ["nightly", "10.1.2.3 curl/8", "moved"]),
        (("--sort", "first_seen"), ["moved", "nightly", "10.1.2.3 curl/8"]),
        (("--sort", "name", "--limit", "1"), ["10.1.2.3 curl/8"]),
        (("--since", "2026-11-10"), ["nightly", "10.1.2.3 curl/8"]),
        (("--since", "2026-11-22T12:00:00+03:00"), ["nightly", "10.1.2.3 curl/8"]),  # it may still call
    ],
)
def test_rows_are_chosen_and_sorted(run: Run, file: str, options: tuple[str, ...], names: list[str]) -> None:
    report = json.loads(run("callers", *UNTIL, "--format", "json", *options, file).out)

    assert [row["caller"] for row in report["callers"]] == names
    assert report["total"] == 3


def test_a_length_of_time_counts_back_from_now(run: Run, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    (tmp_path / "log").write_bytes(log(call(now - timedelta(hours=3), "late"), call(now - timedelta(days=8), "early")))

    def names(*options: str) -> set[str]:
        report = json.loads(run("callers", "--format", "json", *options, "log").out)
        return {row["caller"] for row in report["callers"] if row["calls"]}

    assert names("--since", "1w") == {"late"}
    assert names("--until", "12h") == {"early"}
    assert names() == {"late", "early"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "yesterday"),
        ("--since", "5"),
        ("--limit", "0"),
        ("--by", "colour"),
        ("--state", "gone"),
        ("--fail-if-active", "soon"),
        ("--fail-if-active", "0d"),
        ("--compare", "12h"),
        ("--compare", "0d"),
        ("--compare", "3000d"),
    ],
)
def test_a_wrong_option_exits_2_and_says_what_to_write(run: Run, file: str, arguments: tuple[str, str]) -> None:
    ran = run("callers", *arguments, file)

    assert (ran.status, ran.out) == (2, "")
    assert arguments[0] in ran.err.splitlines()[-1]


def test_without_files_the_configured_log_is_read_with_its_rotated_siblings(run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "callers.jsonl").write_bytes(log(*nightly(2, 1)))
    (tmp_path / "logs" / "callers.jsonl.1.gz").write_bytes(gzip.compress(log(*nightly(4, 3))))
    (tmp_path / "other.jsonl").write_bytes(log(*nightly(9, 5)))

    assert rows(run("callers").out)[1][3] == "4"
    (tmp_path / "config.yaml").write_text("callers: {log: other.jsonl}")
    assert rows(run("callers").out)[1][3] == "5"


def test_an_export_can_be_piped_in(run: Run) -> None:
    assert rows(run("callers", "-", stdin=log(*nightly(4, 1))).out)[1][3] == "4"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "logs/callers.jsonl: there is no log yet"),
        (("gone.jsonl",), "gone.jsonl: No such file or directory"),
    ],
)
def test_where_there_is_no_log_one_line_says_so(run: Run, arguments: tuple[str, ...], says: str) -> None:
    ran = run("callers", *arguments)

    assert (ran.status, ran.out) == (2, "")
    assert ran.said.startswith(f"trigger-shim: error: {says}")


def test_rules_of_the_configuration_name_the_callers(run: Run, tmp_path: Path) -> None:
    known = {"name": "sync", "owner": "team-c", "contact": "c@acme.example", "repository": "acme/*", "agent": "curl/*"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"callers": {"known": [known]}}))
    (tmp_path / "log").write_bytes(log(call(caller="10.1.2.3 curl/8", caller_source="address", user_agent="curl/8")))
    [row] = json.loads(run("callers", *UNTIL, "--format", "json", "log").out)["callers"]

    assert (row["caller"], row["source"], row["owner"], row["contact"]) == ("sync", "known", "team-c", "c@acme.example")


# --- the gate


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([*beats(NOW - 40 * DAY), *nightly(40, 14)], 1),
        ([*beats(NOW - 40 * DAY), *nightly(40, 15)], 0),
        (nightly(40, 15), 3),
        ([], 3),
    ],
    ids=["somebody", "nobody", "no heartbeats", "nothing"],
)
def test_the_gate_of_the_final_removal(run: Run, tmp_path: Path, records: list[Record], status: int) -> None:
    (tmp_path / "log").write_bytes(log(*records))
    assert run("callers", *UNTIL, "--fail-if-active", "14d", "log").status == status


def test_the_gate_stays_shut_where_there_is_no_log(run: Run) -> None:
    ran = run("callers", "--fail-if-active", "14d")

    assert ran.status == 3
    assert ran.said.startswith("trigger-shim: error: ")


def test_the_gate_works_with_every_form(run: Run, file: str) -> None:
    for form in ("json", "csv", "markdown"):
        assert run("callers", *UNTIL, "--fail-if-active", "14d", "--format", form, file).status == 1


def test_a_terminal_gets_colours(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert re.search(r"\x1b\[1;31mactive *\x1b\[0m", on_a_terminal(["callers", *UNTIL, file], 80))


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_on_a_terminal_the_table_fits_and_has_colours(screen: Screen, file: str, columns: int) -> None:
    shown = screen(columns, "callers", *UNTIL, file)

    assert re.search(r"\x1b\[1;31mactive *\x1b\[0m", shown)
    assert max(len(line) for line in plain(shown) if not line.startswith("trigger-shim: ")) <= columns
    assert any(re.fullmatch(r"nightly .*active *", line) for line in plain(shown))


def test_no_color_is_honoured(screen: Screen, file: str) -> None:
    shown = screen(100, "callers", *UNTIL, file, NO_COLOR="1")

    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown)


def test_a_terminal_without_unicode_gets_a_trend_all_the_same(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = on_a_terminal(["callers", *UNTIL, file], 140, {"LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})

    assert "@@@@" in shown
    assert shown.isascii()


# --- with a policy


@pytest.mark.usefixtures("fixed_time")
def test_callers_has_a_column_for_what_comes_next(run: Run, planned: Any) -> None:
    planned(POLICY, *RULES, records=LOG)

    titles, *found = rows(run("callers").out)

    assert titles[-2:] == ["state", "next"]
    assert {row[0]: row[-1] for row in found} == {
        "nightly": "brownout 2026-12-01 10:00",
        "smoke": "sunset 2027-01-01",
        "moved": "refused",
    }


@pytest.mark.usefixtures("fixed_time")
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
    screen: Screen, planned: Any, columns: int, callers: str, titles: set[str]
) -> None:
    window = {"from": "2126-12-01T10:00:00Z", "to": "2126-12-01T10:10:00Z", "callers": callers}
    planned({"brownouts": [window]}, records=[*LOG, *([call(NOW - 2 * DAY, "zzz")] if callers == "zzz" else [])])

    options = ["--state", "active", "--sort", "calls", "--limit", "1", "--until", "2026-11-24"]
    shown = plain(screen(columns, "callers", *options))[2:]  # below what has changed

    assert titles <= set(shown[0].split())
    assert ("next" in shown[0]) is ("next" in titles)
    assert max(map(len, shown[:2])) <= columns


@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize("time", ["0001-01-01", "9999-12-31"])
def test_a_period_is_within_the_calendar(run: Run, file: str, option: str, time: str) -> None:
    ran = run("callers", option, time, file)

    assert ran.status == 2
    assert "is out of range; write a date between 1970 and 9000" in ran.err


# --- the gate on the verdict


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([*beats(NOW - 80 * DAY), *nightly(80, 32)], 1),
        ([*beats(NOW - 80 * DAY), *nightly(80, 33)], 0),
        (nightly(80, 33), 3),
        ([*beats(NOW - 80 * DAY), call(NOW - 40 * DAY)], 1),
        ([], 3),
    ],
    ids=["somebody", "nobody", "no heartbeats", "a monthly job, perhaps", "nothing"],
)
@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "html"])
def test_the_gate_on_the_verdict(run: Run, tmp_path: Path, records: list[Record], status: int, form: str) -> None:
    (tmp_path / "log").write_bytes(log(*records))
    assert run("callers", *UNTIL, "--fail-unless-safe", "--format", form, "log").status == status


def test_the_gate_on_the_verdict_stays_shut_where_there_is_no_log(run: Run) -> None:
    assert run("callers", "--fail-unless-safe").status == 3


def test_both_gates_must_open(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(log(*beats(NOW - 80 * DAY), call(NOW - 40 * DAY)))

    assert run("callers", *UNTIL, "--fail-if-active", "14d", "log").status == 0
    assert run("callers", *UNTIL, "--fail-if-active", "14d", "--fail-unless-safe", "log").status == 1


def read_by_nobody(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command, into a pipe whose other end is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as closed:
        command = [COMMAND, "callers", *UNTIL, *arguments, "log"]
        return subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, env=environment(), check=False)


@pytest.mark.parametrize(
    ("form", "gate"),
    [
        ("table", ["--fail-unless-safe"]),
        ("json", ["--fail-if-active", "14d"]),
        ("csv", ["--fail-unless-safe"]),
        ("markdown", ["--fail-if-active", "14d"]),
        ("html", ["--fail-unless-safe"]),
    ],
)
def test_a_reader_that_closes_early_does_not_open_the_gate(tmp_path: Path, form: str, gate: list[str]) -> None:
    (tmp_path / "log").write_bytes(log(*(call(caller=f"c{number}") for number in range(3000))))
    ran = read_by_nobody(*gate, "--format", form)

    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_short_report_that_nobody_reads_does_not_open_the_gate(tmp_path: Path) -> None:
    """Any is written when the process ends, whatever its format."""
    (tmp_path / "log").write_bytes(log(call()))
    ran = read_by_nobody("--fail-unless-safe", "--format", "json")

    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("value", ["0d", "0m", "-1d"])
def test_a_gate_without_a_window_is_refused(run: Run, file: str, value: str) -> None:
    ran = run("callers", f"--fail-if-active={value}", file)

    assert (ran.status, ran.out) == (2, "")


# --- jobs that run seldom


def test_an_expected_job_holds_the_verdict(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(log(*beats(NOW - 120 * DAY), call(NOW - 100 * DAY, "month-end")))

    def verdict(*options: str) -> str:
        return str(json.loads(run("callers", *UNTIL, "--format", "json", *options, "log").out)["verdict"])

    assert verdict() == "safe"
    assert verdict("--expect", "month-end=31d") == "safe"
    assert verdict("--expect", "month-end=92d") == "not_yet"
    assert verdict("--expect", "month-end=13w", "--expect", "other=1d") == "not_yet"
    assert verdict("--expect", "a=b=92d") == "cannot_tell"  # the log is too short for one that was never seen


@pytest.mark.parametrize("value", ["month-end", "=92d", "month-end=", "month-end=often", "month-end=0d", "a=99999d"])
def test_an_expectation_is_a_name_and_a_period(run: Run, file: str, value: str) -> None:
    ran = run("callers", "--expect", value, file)

    assert (ran.status, ran.out) == (2, "")
    assert "write month-end=31d" in ran.err


# --- the window is for counts


@pytest.mark.parametrize(
    "window", [("--since", "2026-11-20"), ("--until", "2026-10-01"), ("--since", "2026-11-23T12:00Z")]
)
@pytest.mark.parametrize("by", ["caller", "owner", "repo"])
@pytest.mark.usefixtures("fixed_time")
def test_states_and_the_verdict_do_not_depend_on_the_window(
    run: Run, file: str, window: tuple[str, str], by: str
) -> None:
    whole, part = (
        json.loads(run("callers", "--format", "json", "--by", by, *options, file).out) for options in ((), window)
    )

    for key in ("verdict", "reasons", "safe_at", "total", "retired"):
        assert part[key] == whole[key]
    states = {row[by]: (row["state"], row["retired_at"], row["last_seen"]) for row in whole[f"{by}s"]}
    assert all(states[row[by]] == (row["state"], row["retired_at"], row["last_seen"]) for row in part[f"{by}s"])
    assert {row[by] for row in whole[f"{by}s"] if row["state"] != "retired"} <= {row[by] for row in part[f"{by}s"]}


@pytest.mark.usefixtures("fixed_time")
def test_a_caller_that_did_not_call_in_the_window_has_a_report_all_the_same(run: Run, file: str) -> None:
    ran = run("caller", "nightly", "--since", "2026-11-23T12:00Z", file)

    assert ran.status == 0
    assert "active: last call 2026-11-23 00:00" in ran.out


# --- what has changed


@pytest.mark.parametrize("form", ["table", "markdown", "csv"])
def test_compare_shows_what_has_changed(run: Run, tmp_path: Path, form: str) -> None:
    records = [*beats(NOW - 80 * DAY), *nightly(40, 8), *nightly(3, 1, "new")]
    (tmp_path / "log").write_bytes(log(*records))
    out = run("callers", *UNTIL, "--compare", "7d", "--format", form, "log").out

    assert re.findall("stopped|new|nightly", out.partition("nightly")[0])[-1] == "stopped"
    assert "Verdict" not in out
    assert "nightly" not in run("callers", *UNTIL, "--compare", "7d", "--limit", "1", "--format", form, "log").out


def test_the_line_of_what_has_changed_is_above_the_table_and_in_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(log(*beats(NOW - 80 * DAY), *nightly(40, 8), *nightly(3, 1, "new")))

    assert run("callers", *UNTIL, "log").out.startswith("since last week: 1 gone, 1 new\n\ncaller ")
    markdown = run("callers", *UNTIL, "--format", "markdown", "log").out
    assert markdown.startswith("since last week: 1 gone, 1 new\n\n| caller ")
    for options, middle in (((), "2026-11-17T00:00:00Z"), (("--compare", "2d"), "2026-11-22T00:00:00Z")):
        found = json.loads(run("callers", *UNTIL, *options, "--format", "json", "log").out)["compared"]
        assert found["middle"] == middle
        assert found["callers"]


# --- the burn-down


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json"])
def test_the_days_come_in_every_format(run: Run, file: str, form: str) -> None:
    ran = run("callers", *UNTIL, "--by", "day", "--since", "2026-11-20", "--format", form, file)

    assert ran.status == 0
    assert re.findall(r"2026-11-\d\d", ran.out) == [f"2026-11-2{day}" for day in range(5)]
    if form == "json":
        whole = json.loads(run("callers", *UNTIL, "--since", "2026-11-20", "--format", "json", file).out)
        assert json.loads(ran.out)["days"] == whole["days"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "day", "--format", "html"], "the page and --watch show no days: leave out --by"),
        (["--by", "day", "--watch"], "the page and --watch show no days: leave out --by"),
        (["--compare", "7d", "--watch"], "--watch shows what is, not what has changed: leave out --compare"),
        (["--compare", "7d", "--by", "owner"], "--compare is about callers: leave out --by"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(run: Run, file: str, options: list[str], said: str) -> None:
    ran = run("callers", *options, file)

    assert (ran.status, ran.out) == (2, "")
    assert ran.said == f"trigger-shim: error: {said}\n"


def test_a_list_in_csv_has_the_most_frequent_values(run: Run, tmp_path: Path) -> None:
    calls = [call(workflow=f"w{number:02}") for number in range(22) for _ in range(number + 1)]
    (tmp_path / "log").write_bytes(log(*calls))
    [row] = csv.DictReader(io.StringIO(run("callers", *UNTIL, "--format", "csv", "log").out))

    assert row["workflows"].split("; ") == [*(f"w{number:02}" for number in range(21, 1, -1)), "…"]


# --- live


@pytest.mark.parametrize("options", [["-"], ["--format", "json"], ["--fail-unless-safe"], ["--fail-if-active", "3d"]])
def test_watching_is_refused_beside_files_formats_and_gates(run: Run, options: list[str]) -> None:
    ran = run("callers", "--watch", *options)
    assert ran.status == 2
    assert ran.said == (
        "trigger-shim: error: --watch shows the table of the ledger: leave out files, formats and gates\n"
    )


def test_watching_needs_a_terminal(run: Run) -> None:
    ran = run("callers", "--watch")
    assert (ran.status, ran.said) == (2, "trigger-shim: error: --watch needs a terminal\n")


def test_watching_needs_a_ledger(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    ran = run("callers", "--watch")
    assert ran.status == 2
    assert ran.said == "trigger-shim: error: --watch reads the ledger, and there is none yet: start the proxy\n"


def test_the_table_is_shown_live_until_ctrl_c(tmp_path: Path) -> None:
    ledger = str(tmp_path / "callers.db")
    fill(ledger, call(datetime.now(UTC) - DAY, "first"), file="log")
    terminal, inside = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    command = [COMMAND, "callers", "--watch", "--ledger", ledger]
    streams = {"stdin": inside, "stdout": inside, "stderr": subprocess.PIPE}
    settings = environment(TERM="xterm-256color", LANG="C.UTF-8")
    with heeding(signal.SIGINT):
        watching = subprocess.Popen(command, cwd=tmp_path, env=settings, **streams)  # type: ignore[call-overload]
    with running(watching) as process:
        os.close(inside)
        read_until(terminal, b"first")
        fill(ledger, call(datetime.now(UTC) - DAY, "second"), file="log")
        read_until(terminal, b"second")
        process.send_signal(signal.SIGINT)
        read_until(terminal, b"\x1b[?1049l")  # what was there before comes back
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b"trigger-shim: stopped watching\n"
    os.close(terminal)
