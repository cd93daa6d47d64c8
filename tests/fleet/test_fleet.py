"""The demo of a fleet shows what it says, and notices where it is not so."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet import __main__ as demo
from tests.fleet import stage, steps
from tests.fleet.stage import Member, Stage


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


def the_other_has_no_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "ledgers", lambda ledger: (ledger, None))


def there_is_no_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Member, "reload", lambda *_, **__: None)


def the_report_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    report, numbers = Stage.report, itertools.count()

    def changed(self: Stage) -> dict[str, Any]:
        return {**report(self), "total": next(numbers)}

    monkeypatch.setattr(Stage, "report", changed)


def the_report_is_of_another_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "run", lambda *_: "nightly  -  alice  3  active\n")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("broken", "step"),
    [
        (the_other_has_no_ledger, 0),
        (there_is_no_freeze, 1),
        (the_report_changes, 2),
        (the_report_is_of_another_ledger, 3),
    ],
)
def test_the_demo_of_a_fleet_that_is_broken_exits_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: Callable[[pytest.MonkeyPatch], None],
    step: int,
) -> None:
    broken(monkeypatch)
    monkeypatch.setattr(steps, "STEPS", [steps.STEPS[step]])

    assert demo.main() == 1
    shown = capsys.readouterr().out
    assert "   WRONG: expected " in shown
    assert shown.endswith("0 of 1 steps hold\n")
