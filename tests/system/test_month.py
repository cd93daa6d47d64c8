"""A month of mixed callers through the running proxy (month.py), and what its log says to somebody who reads it."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.system import shown
from tests.system.month import END
from tests.system.shown import DESK, commands, without

README = (ROOT / "proxy/callers/README.md").read_text(encoding="utf-8")
SHOWN = commands(without(DESK, README))


def told(month: Path, *arguments: str) -> str:
    return shown.told(month, *arguments, until=END)


def test_the_readme_shows_both_commands() -> None:
    assert {shlex.split(command)[1] for command, _ in SHOWN} == {"callers", "caller"}


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_the_output_in_the_readme_is_real(month: Path, command: str, output: str) -> None:
    assert told(month, *shlex.split(command)[1:]) == output


def test_the_report_on_the_month_answers_the_questions_of_a_migration(month: Path) -> None:
    report: dict[str, Any] = json.loads(told(month, "callers", "--format", "json"))
    callers = {row["caller"]: row for row in report["callers"]}

    # Can we switch off?
    assert (report["verdict"], report["total"], report["retired"]) == ("not_yet", 7, 0)
    assert [row["caller"] for row in report["strangers"]] == ["strangers in 10.20.0.0/24"]
    # Who still calls?
    quiet = {name for name, row in callers.items() if row["state"] == "quiet"}
    assert quiet == {"jenkins", "month-end", "token:b25a84333715"}
    # Whose is it?
    owners = {name: row["owner"] or row["user"] for name, row in callers.items()}
    assert owners == {
        "nightly-build": "team-build",
        "jenkins": "team-build",
        "release-train": "team-release",
        "month-end": "finance",
        "deploy-bot": "alice",
        "token:044072174910": "bob",
        "token:b25a84333715": "alice",
    }
    # What must each change?
    for name in callers:
        card = json.loads(told(month, "caller", name, "--format", "json"))
        assert card["changes"]
        assert all("/repos/" in change["request"] for change in card["changes"])
    # And was the log being kept?
    assert [gap["seconds"] for gap in report["coverage"]["gaps"]] == [9600]
