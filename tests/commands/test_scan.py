"""The command: its exit status, its streams, its formats."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("trigger-shim"))
CALL = "curl -X POST $API/acme/shop/ci_workflows/build/trigger\n"
LINE = "ci.sh:1:18: trigger (certain): /acme/shop/ci_workflows/build/trigger -> POST /repos/acme/shop/cicd/runs\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ci.sh").write_text(CALL)
    (tmp_path / "clean.sh").write_text("true\n")
    return tmp_path


def scan(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "scan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_the_status_tells_clean_from_found() -> None:
    clean, found = scan("clean.sh"), scan(".")

    assert (clean.returncode, clean.stdout) == (0, "")
    assert (found.returncode, found.stdout) == (2, LINE)
    assert clean.stderr.startswith("trigger-shim: found 0 calls, 0 to look at; examined 1 file in 0 folders; ")
    assert found.stderr.startswith("trigger-shim: found 1 call, 0 to look at; examined 2 files in 1 folder; ")


@pytest.mark.parametrize(
    "arguments", [[], ["--format", "xml", "."], ["--speed", "."], [".", "--speed"], ["--format"]], ids=" ".join
)
def test_a_wrong_command_line_is_no_finding(arguments: list[str]) -> None:
    ran = scan(*arguments)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("usage: trigger-shim scan")
    assert "\ntrigger-shim scan: error: " in ran.stderr


def test_what_is_not_there_is_an_error_and_the_rest_is_shown() -> None:
    ran = scan("nowhere\x1b", ".")

    assert (ran.returncode, ran.stdout) == (1, LINE)
    assert ran.stderr.splitlines()[0] == "trigger-shim: error: nowhere\\u001b: No such file or directory"


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_a_document_is_whole_where_nothing_is_found_too(form: str) -> None:
    clean, found = scan("--format", form, "clean.sh"), scan("--format", form, ".")

    assert (clean.returncode, found.returncode) == (0, 2)
    assert "trigger" in json.dumps(json.loads(found.stdout))
    assert len(clean.stdout) < len(found.stdout)
    assert json.loads(clean.stdout).keys() == json.loads(found.stdout).keys()


def test_markdown_is_a_table() -> None:
    assert scan("--format", "markdown", ".").stdout.splitlines()[2] == (
        "| `ci.sh:1:18` | `trigger (certain)` | `/acme/shop/ci_workflows/build/trigger` |"
        " `POST /repos/acme/shop/cicd/runs` |"
    )


def test_a_reader_that_has_enough_does_not_make_it_clean() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    with open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
        ran = subprocess.run([COMMAND, "scan", "."], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)

    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1


def test_an_output_that_cannot_write_a_character_spells_it_out(folder: Path) -> None:
    (folder / "ż.sh").write_text(CALL)

    ran = scan(".", PYTHONIOENCODING="ascii")

    assert ran.returncode == 2
    assert "\\u017c.sh:1:18: " in ran.stdout


@pytest.mark.parametrize(("environment", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_a_table(environment: dict[str, str], colored: bool) -> None:
    ours, theirs = pty.openpty()
    settings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60", **environment}

    ran = subprocess.run([COMMAND, "scan", "."], stdout=theirs, stderr=subprocess.DEVNULL, env=settings, check=False)
    os.close(theirs)
    with open(ours, "rb", buffering=0) as terminal:  # noqa: PTH123 - a descriptor
        shown = terminal.read(65536).decode()

    assert ran.returncode == 2
    assert "ci.sh:1:18" in shown
    assert "│" in shown
    assert ("\x1b[" in shown) is colored


def test_a_warning_says_where_git_could_not_say_what_it_ignores(folder: Path) -> None:
    (folder / ".git").mkdir()

    ran = scan(".", PATH=str(folder))

    assert (ran.returncode, ran.stdout) == (2, LINE)
    warning = f"trigger-shim: warning: {folder}: git is not installed; files that it ignores are examined, too"
    assert ran.stderr.splitlines()[0] == warning


def test_something_to_look_at_alone_has_a_status_of_its_own(folder: Path) -> None:
    (folder / "look.sh").write_text("jq -r .flux_public_id\n")

    looked, both = scan("look.sh"), scan(".")

    assert (looked.returncode, looked.stdout) == (3, "look.sh:1:8: look at this: flux_public_id -> slug of the run\n")
    assert "found 0 calls, 1 to look at; " in looked.stderr.splitlines()[-1]
    assert both.returncode == 2


def test_the_base_url_alone_is_no_finding(folder: Path) -> None:
    (folder / "settings.env").write_text("API=https://api.sourcecraft.tech\n")

    alone, beside = scan("settings.env"), scan(".")

    assert (alone.returncode, alone.stdout) == (0, "")
    assert "settings.env:1:5: base URL: https://api.sourcecraft.tech -> the address of the proxy" in beside.stdout


def test_what_is_excluded_is_not_found() -> None:
    ran = scan(".", "--exclude", "*.sh")

    assert (ran.returncode, ran.stdout) == (0, "")
    assert "2 excluded" in ran.stderr


def test_a_baseline_hides_what_is_known_and_shows_what_is_new(folder: Path) -> None:
    written = scan(".", "--write-baseline", "known.json")
    same = scan(".", "--baseline", "known.json")
    (folder / "new.sh").write_text(CALL)
    more = scan(".", "--baseline", "known.json")

    assert (written.returncode, written.stdout) == (0, "")
    assert "found 0 calls, 0 to look at, 1 in the baseline; " in written.stderr
    assert (same.returncode, same.stdout) == (0, "")
    assert (more.returncode, more.stdout) == (2, LINE.replace("ci.sh", "new.sh"))


@pytest.mark.parametrize("arguments", [["--baseline", "nowhere"], ["--write-baseline", "no/where"]])
def test_a_baseline_that_is_not_there_fails(arguments: list[str]) -> None:
    ran = scan(".", *arguments)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"trigger-shim: error: {arguments[1]}: No such file or directory\n"


def test_a_comment_without_a_reason_is_told(folder: Path) -> None:
    (folder / "ci.sh").write_text(f"# trigger-shim: ignore\n{CALL}")

    ran = scan("ci.sh")

    assert ran.returncode == 2
    assert ran.stderr.startswith("trigger-shim: warning: ci.sh:1: 'trigger-shim: ignore' needs a reason behind it")


def test_a_patch_says_what_the_scan_says_with_its_status() -> None:
    ran = scan(".", "--diff")

    assert (ran.returncode, ran.stdout.splitlines()[:3]) == (
        2,
        ["diff --git a/ci.sh b/ci.sh", "--- a/ci.sh", "+++ b/ci.sh"],
    )
    assert Path("ci.sh").read_text() == CALL
    assert scan("clean.sh", "--diff").returncode == 0


def test_the_status_of_fix_is_that_of_what_is_left() -> None:
    guarded, fixed = scan(".", "--fix"), scan(".", "--fix", "--force")

    assert (guarded.returncode, fixed.returncode) == (2, 0)
    assert guarded.stdout.startswith("ci.sh:1:18: not changed: no repository holds the file, ")
    assert fixed.stdout == "ci.sh:1:18: changed: POST /repos/acme/shop/cicd/runs\n"
    assert fixed.stderr.startswith("trigger-shim: left 0 calls, 0 to look at, 1 changed; examined 2 files ")

    Path("ci.sh").write_text("jq .flux_public_id\n")
    looks = scan(".", "--fix", "--force")
    assert (looks.returncode, looks.stdout.split(": ")[1]) == (3, "not changed")


@pytest.mark.parametrize("options", [["--unsafe"], ["--force", "--diff"], ["--unsafe", "--format", "json"]])
def test_options_of_fix_need_it(options: list[str]) -> None:
    ran = scan(".", *options)

    assert (ran.returncode, ran.stderr) == (1, "trigger-shim: error: --unsafe and --force only go with --fix\n")


@pytest.mark.parametrize("option", ["--diff", "--format=json"])
def test_there_is_one_output(option: str) -> None:
    assert scan(".", "--fix", option).returncode == 1


def test_known_and_suppressed_findings_are_not_changed() -> None:
    Path("ci.sh").write_text(CALL + CALL.replace("\n", " # trigger-shim: ignore it is a test\n"))
    scan(".", "--write-baseline", "known.json")

    assert scan(".", "--baseline", "known.json", "--fix", "--force").stdout == ""
    assert scan("ci.sh", "--fix", "--force").stdout.count("changed") == 1
    assert "ci_workflows" in Path("ci.sh").read_text().splitlines()[1]


def test_a_reader_that_stops_early_does_not_stop_the_changes() -> None:
    Path("more.sh").write_text(CALL)
    reading, writing = os.pipe()
    os.close(reading)

    with open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
        ran = subprocess.run(
            [COMMAND, "scan", ".", "--fix", "--force"], stdout=pipe, stderr=subprocess.PIPE, check=False
        )

    assert ran.returncode == 0
    assert "ci_workflows" not in Path("ci.sh").read_text() + Path("more.sh").read_text()
