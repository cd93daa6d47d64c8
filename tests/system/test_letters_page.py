"""The letter and the commands that the documentation of letters shows, on the month's log (month.py)."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from proxy.commands import log_options
from tests.commands.running import Run, alone, run
from tests.support.paths import ROOT
from tests.system.month import END

__all__ = ["alone", "run"]

PAGE = (ROOT / "proxy/callers/README.md").read_text(encoding="utf-8")
PART = PAGE.partition("\n## Letters\n")[2].partition("\n## Options\n")[0]
[SETTINGS] = re.findall(r"```yaml\n(.*?)```", PART, re.DOTALL)
[(COMMAND, LETTER)] = re.findall(r"`````console\n\$ trigger-shim (letters .*)\n(.*?)`````", PART, re.DOTALL)
[SHOWN] = re.findall(r"^```console\n(\$ trigger-shim letters .*?)```", PART, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def folder(month: Path, tmp_path: Path, alone: None, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:  # noqa: ARG001
    shutil.copy(month / "callers.jsonl", tmp_path)
    values = yaml.safe_load((month / "config.yaml").read_text()) | yaml.safe_load(SETTINGS)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.setattr(log_options, "now", lambda: END)
    assert run("ledger", "import", "callers.jsonl").status == 0


def test_the_letter_is_real(run: Run) -> None:
    assert run(*shlex.split(COMMAND)).out == LETTER


def test_the_commands_are_real(run: Run) -> None:
    shown = ""
    for command in re.findall(r"^\$ trigger-shim (.*)$", SHOWN, re.MULTILINE):
        shown += f"$ trigger-shim {command}\n{run(*shlex.split(command)).err}"
    assert shown == SHOWN
