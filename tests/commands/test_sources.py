"""The log and the files together: who is likely to call what a file has, and where a caller's calls are."""

import json
from pathlib import Path

import pytest

from tests.commands.running import Run
from tests.commands.samples import UNTIL

CALL = "curl -X POST $API/acme/{}/ci_workflows/build/trigger\n"


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ci.sh").write_text("# the build\n" + CALL.format("shop"))
    (tmp_path / "src" / "other.sh").write_text(CALL.format("store"))
    return tmp_path / "src"


def test_a_scan_names_the_callers_that_a_call_is_likely_to_be(run: Run, file: str) -> None:
    ran = run("scan", "src", "--log", file)

    assert ran.status == 2
    assert ran.out.splitlines() == [
        "src/ci.sh:2:18: trigger (certain): /acme/shop/ci_workflows/build/trigger -> POST /repos/acme/shop/cicd/runs"
        " [called by 10.1.2.3 curl/8, moved, nightly]",
        "src/other.sh:1:18: trigger (certain): /acme/store/ci_workflows/build/trigger"
        " -> POST /repos/acme/store/cicd/runs",
    ]


def test_the_names_of_known_callers_come_from_the_configuration_that_is_named(
    run: Run, file: str, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("callers: {known: [{name: the bot, agent: nightly/*}]}\nworkflow: nothing\n")
    good = tmp_path / "good.yaml"
    good.write_text("callers: {known: [{name: the cat, workflow: build}]}")

    assert "called by 10.1.2.3 curl/8, moved, nightly" in run("scan", "src", "--log", file).out
    assert "called by the cat]" in run("scan", "src", "--log", file, "--config", str(good)).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--log", "nowhere"], "nowhere: No such file or directory"),
        (["--ledger", "nowhere.db"], "nowhere.db"),
        (["--log", "{file}", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--log", "{file}", "--ledger", "nowhere.db"], "not allowed with argument"),
    ],
)
def test_a_log_that_cannot_be_read_fails_and_is_no_finding(
    run: Run, file: str, arguments: list[str], said: str
) -> None:
    ran = run("scan", "src", *(word.format(file=file) for word in arguments))

    assert (ran.status, ran.out) == (1, "")
    assert said in ran.err


def test_a_caller_names_the_files_where_its_calls_are(run: Run, file: str) -> None:
    text = run("caller", "nightly", *UNTIL, "--source", "src", file).out
    markdown = run("caller", "nightly", *UNTIL, "--source", "src", "--format", "markdown", file).out
    found = json.loads(run("caller", "nightly", *UNTIL, "--source", "src", "--format", "json", file).out)

    assert (
        "\nWhere it is likely to be called\n\n  src/ci.sh:2: /acme/shop/ci_workflows/build/trigger (trigger)\n\n"
        "Last calls, in UTC\n"
    ) in text
    assert (
        "## Where it is likely to be called\n\n- `src/ci.sh:2`: `/acme/shop/ci_workflows/build/trigger` (`trigger`)\n"
        in markdown
    )
    assert found["places"] == [
        {"file": "src/ci.sh", "line": 2, "endpoint": "trigger", "found": "/acme/shop/ci_workflows/build/trigger"}
    ]


def test_a_caller_whose_calls_are_elsewhere_says_so(run: Run, file: str) -> None:
    text = run("caller", "nightly", *UNTIL, "--source", "src/other.sh", file).out

    assert "\nWhere it is likely to be called\n\n  No call in these files has its repository and workflow.\n" in text
    assert "likely to be called" not in run("caller", "nightly", *UNTIL, file).out


def test_a_source_that_is_not_there_is_an_error(run: Run, file: str) -> None:
    ran = run("caller", "nightly", *UNTIL, "--source", "nowhere", file)

    assert (ran.status, ran.said) == (1, "trigger-shim: error: nowhere: No such file or directory\n")
