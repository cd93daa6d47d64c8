"""What the tools say of a month of forty callers (tests/callers/month.py) to somebody who leads a migration."""

import shlex
from pathlib import Path

import pytest

from tests.callers import month
from tests.callers.lines import log
from tests.callers.month import END, TOOLS
from tests.support.paths import ROOT
from tests.system.shown import DESK, commands, part, told

README = (ROOT / "proxy/callers/README.md").read_text(encoding="utf-8")
SHOWN = [found for heading in DESK for found in commands(part(heading, README))]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the month."""
    return month.write(tmp_path_factory.mktemp("desk")).parent


def test_the_month_has_forty_callers_five_owners_and_two_brownouts_and_is_always_the_same() -> None:
    assert len({tool.token for tool in TOOLS}) == 40
    assert len({rule["owner"] for rule in month.rules() if "owner" in rule}) == 5
    assert sum("note" in rule for rule in month.rules()) == 3
    assert len(month.settings()["lifecycle"]["brownouts"]) == 2
    assert log(*month.records()) == log(*month.records())


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_the_output_in_the_readme_is_real(desk: Path, command: str, output: str) -> None:
    assert told(desk, *shlex.split(command)[1:], until=END) == output
