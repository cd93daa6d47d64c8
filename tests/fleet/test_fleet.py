"""The demo of a fleet shows what it says, and notices where it is not so."""

import itertools
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet import __main__ as demo
from tests.fleet import stage
from tests.fleet.stage import DAYS, Member, Stage


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files are; PostgreSQL's account can enter it, as it cannot enter pytest's own."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    yield made
    shutil.rmtree(made)


def test_the_demo_shows_four_steps_and_leaves_nothing_behind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = demo.main()

    shown = capsys.readouterr().out
    assert status == 0, shown
    assert "WRONG" not in shown
    assert shown.count("   as expected\n") == 4
    for text in ('"trigger_status":"already_exists"', "1 at the service", "410 at the one, 410 at the other"):
        assert text in shown
    assert list(folder.iterdir()) == []


def break_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies share no ledger, there is no freeze, the report changes, and it is of another ledger."""
    totals = itertools.count()

    def report(_: Stage) -> dict[str, Any]:
        return {"callers": [], "strangers": [], "verdict": "unsafe", "total": next(totals)}

    monkeypatch.setattr(stage, "import_older_log", lambda *_: None)  # without a freeze, nobody asks since when
    monkeypatch.setattr(stage, "ledgers", lambda ledger: (ledger, None))
    monkeypatch.setattr(Member, "reload", lambda *_, **__: None)
    monkeypatch.setattr(Stage, "counted", lambda _: DAYS)  # the other counts nothing
    monkeypatch.setattr(Stage, "report", report)
    monkeypatch.setattr(Stage, "run", lambda *_: "nightly  -  alice  3  active\n")


WRONG = (
    "the second call to get the run of the first one",
    "200 for nightly and 410 for the new tool, at both",
    "the same report",
    "calls of nightly",
)


@pytest.mark.usefixtures("folder")
def test_the_demo_of_a_fleet_that_is_broken_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_each_step(monkeypatch)

    assert demo.main() == 1
    shown = capsys.readouterr().out
    for wrong in WRONG:
        assert re.search(f"^   WRONG: expected .*{wrong}", shown, re.MULTILINE), shown
    assert shown.endswith("\n0 of 4 steps hold\n")
