"""The command: its exit status, its streams, its formats."""

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.commands.running import COMMAND, Run, Screen

CALL = "curl -X POST $API/acme/shop/ci_workflows/build/trigger\n"
LINE = "ci.sh:1:18: trigger (certain): /acme/shop/ci_workflows/build/trigger -> POST /repos/acme/shop/cicd/runs\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ci.sh").write_text(CALL)
    (tmp_path / "clean.sh").write_text("true\n")
    return tmp_path


@pytest.fixture
def scan(run: Run) -> Run:
    return partial(run, "scan")


def test_the_status_tells_clean_from_found(scan: Run) -> None:
    clean, found = scan("clean.sh"), scan(".")

    assert (clean.status, clean.out) == (0, "")
    assert (found.status, found.out) == (2, LINE)
    assert clean.err.startswith("trigger-shim: found 0 calls, 0 to look at; examined 1 file in 0 folders; ")
    assert found.err.startswith("trigger-shim: found 1 call, 0 to look at; examined 2 files in 1 folder; ")


@pytest.mark.parametrize(
    "arguments", [[], ["--format", "xml", "."], ["--speed", "."], [".", "--speed"], ["--format"]], ids=" ".join
)
def test_a_wrong_command_line_is_no_finding(scan: Run, arguments: list[str]) -> None:
    ran = scan(*arguments)

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("usage: trigger-shim scan")
    assert "\ntrigger-shim scan: error: " in ran.err


def test_what_is_not_there_is_an_error_and_the_rest_is_shown(scan: Run) -> None:
    ran = scan("nowhere\x1b", ".")

    assert (ran.status, ran.out) == (1, LINE)
    assert ran.err.splitlines()[0] == "trigger-shim: error: nowhere\\u001b: No such file or directory"


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_a_document_is_whole_where_nothing_is_found_too(scan: Run, form: str) -> None:
    clean, found = scan("--format", form, "clean.sh"), scan("--format", form, ".")

    assert (clean.status, found.status) == (0, 2)
    assert "trigger" in json.dumps(json.loads(found.out))
    assert len(clean.out) < len(found.out)
    assert json.loads(clean.out).keys() == json.loads(found.out).keys()


def test_markdown_is_a_table(scan: Run) -> None:
    assert scan("--format", "markdown", ".").out.splitlines()[2] == (
        "| `ci.sh:1:18` | `trigger (certain)` | `/acme/shop/ci_workflows/build/trigger` |"
        " `POST /repos/acme/shop/cicd/runs` |"
    )


def read_by_nobody(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command, into a pipe whose other end is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
        return subprocess.run(
            [COMMAND, "scan", *arguments], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False
        )


def test_a_reader_that_has_enough_does_not_make_it_clean() -> None:
    ran = read_by_nobody(".")

    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(("environment", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_a_table(screen: Screen, environment: dict[str, str], colored: bool) -> None:
    shown = screen(60, "scan", ".", status=2, **environment)

    assert "ci.sh:1:18" in shown
    assert "│" in shown
    assert ("\x1b[" in shown) is colored


def test_a_warning_says_where_git_could_not_say_what_it_ignores(
    scan: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".git").mkdir()

    monkeypatch.setenv("PATH", str(folder))
    ran = scan(".")

    assert (ran.status, ran.out) == (2, LINE)
    warning = f"trigger-shim: warning: {folder}: git is not installed; files that it ignores are examined, too"
    assert ran.err.splitlines()[0] == warning


def test_something_to_look_at_alone_has_a_status_of_its_own(scan: Run, folder: Path) -> None:
    (folder / "look.sh").write_text("jq -r .flux_public_id\n")

    looked, both = scan("look.sh"), scan(".")

    assert (looked.status, looked.out) == (3, "look.sh:1:8: look at this: flux_public_id -> slug of the run\n")
    assert "found 0 calls, 1 to look at; " in looked.err.splitlines()[-1]
    assert both.status == 2


def test_the_base_url_alone_is_no_finding(scan: Run, folder: Path) -> None:
    (folder / "settings.env").write_text("API=https://api.sourcecraft.tech\n")

    alone, beside = scan("settings.env"), scan(".")

    assert (alone.status, alone.out) == (0, "")
    assert "settings.env:1:5: base URL: https://api.sourcecraft.tech -> the address of the proxy" in beside.out


def test_what_is_excluded_is_not_found(scan: Run) -> None:
    ran = scan(".", "--exclude", "*.sh")

    assert (ran.status, ran.out) == (0, "")
    assert "2 excluded" in ran.err


def test_a_baseline_hides_what_is_known_and_shows_what_is_new(scan: Run, folder: Path) -> None:
    written = scan(".", "--write-baseline", "known.json")
    same = scan(".", "--baseline", "known.json")
    (folder / "new.sh").write_text(CALL)
    more = scan(".", "--baseline", "known.json")

    assert (written.status, written.out) == (0, "")
    assert "found 0 calls, 0 to look at, 1 in the baseline; " in written.err
    assert (same.status, same.out) == (0, "")
    assert (more.status, more.out) == (2, LINE.replace("ci.sh", "new.sh"))


@pytest.mark.parametrize("arguments", [["--baseline", "nowhere"], ["--write-baseline", "no/where"]])
def test_a_baseline_that_is_not_there_fails(scan: Run, arguments: list[str]) -> None:
    ran = scan(".", *arguments)

    assert (ran.status, ran.out) == (1, "")
    assert ran.err == f"trigger-shim: error: {arguments[1]}: No such file or directory\n"


def test_a_comment_without_a_reason_is_told(scan: Run, folder: Path) -> None:
    (folder / "ci.sh").write_text(f"# trigger-shim: ignore\n{CALL}")

    ran = scan("ci.sh")

    assert ran.status == 2
    assert ran.err.startswith("trigger-shim: warning: ci.sh:1: 'trigger-shim: ignore' needs a reason behind it")


def test_a_patch_says_what_the_scan_says_with_its_status(scan: Run) -> None:
    ran = scan(".", "--diff")

    assert (ran.status, ran.out.splitlines()[:3]) == (
        2,
        ["diff --git a/ci.sh b/ci.sh", "--- a/ci.sh", "+++ b/ci.sh"],
    )
    assert Path("ci.sh").read_text() == CALL
    assert scan("clean.sh", "--diff").status == 0


def test_the_status_of_fix_is_that_of_what_is_left(scan: Run) -> None:
    guarded, fixed = scan(".", "--fix"), scan(".", "--fix", "--force")

    assert (guarded.status, fixed.status) == (2, 0)
    assert guarded.out.startswith("ci.sh:1:18: not changed: no repository holds the file, ")
    assert fixed.out == "ci.sh:1:18: changed: POST /repos/acme/shop/cicd/runs\n"
    assert fixed.err.startswith("trigger-shim: left 0 calls, 0 to look at, 1 changed; examined 2 files ")

    Path("ci.sh").write_text("jq .flux_public_id\n")
    looks = scan(".", "--fix", "--force")
    assert (looks.status, looks.out.split(": ")[1]) == (3, "not changed")


@pytest.mark.parametrize("options", [["--unsafe"], ["--force", "--diff"], ["--unsafe", "--format", "json"]])
def test_options_of_fix_need_it(scan: Run, options: list[str]) -> None:
    ran = scan(".", *options)

    assert (ran.status, ran.err) == (1, "trigger-shim: error: --unsafe and --force only go with --fix\n")


@pytest.mark.parametrize("option", ["--diff", "--format=json"])
def test_there_is_one_output(scan: Run, option: str) -> None:
    assert scan(".", "--fix", option).status == 1


def test_known_and_suppressed_findings_are_not_changed(scan: Run) -> None:
    Path("ci.sh").write_text(CALL + CALL.replace("\n", " # trigger-shim: ignore it is a test\n"))
    scan(".", "--write-baseline", "known.json")

    assert scan(".", "--baseline", "known.json", "--fix", "--force").out == ""
    assert scan("ci.sh", "--fix", "--force").out.count("changed") == 1
    assert "ci_workflows" in Path("ci.sh").read_text().splitlines()[1]


def test_a_reader_that_stops_early_does_not_stop_the_changes() -> None:
    Path("more.sh").write_text(CALL)

    assert read_by_nobody(".", "--fix", "--force").returncode == 0
    assert "ci_workflows" not in Path("ci.sh").read_text() + Path("more.sh").read_text()
