import contextlib
import io
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from proxy.callers.log.files import NoLog
from proxy.commands import watching
from proxy.output import terminal
from tests.callers.lines import NOW, call
from tests.support.ledgers import fill


class Watched:
    """What was shown, and what happens at each pause; the last one is Ctrl-C."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.pauses: list[float] = []
        self.happens: Iterator[Callable[[], object]] = iter(())
        self.minutes: Iterator[float] = itertools.repeat(0.0)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        happens = next(self.happens, None)
        if happens is None:
            raise KeyboardInterrupt
        happens()

    @contextlib.contextmanager
    def screens(self, _out: TextIO) -> Iterator[Callable[[terminal.Draw], None]]:
        def show(draw: terminal.Draw) -> None:
            screen = io.StringIO()
            draw(screen, 24)
            self.shown.append(screen.getvalue())

        yield show


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    made = Watched()
    monkeypatch.setattr(terminal, "screens", made.screens)
    monkeypatch.setattr(watching, "sleep", made.sleep)
    monkeypatch.setattr(watching, "monotonic", lambda: next(made.minutes) * 60)
    return made


def nothing() -> None:
    pass


def draw(out: TextIO, lines: int) -> None:
    out.write(f"{lines} lines")


def test_a_report_is_shown_at_once_and_again_after_each_change(watched: Watched, address: str) -> None:
    fill(address, call(NOW), file="log")
    watched.happens = iter([nothing, nothing, lambda: fill(address, call(NOW), file="log"), nothing])
    watching.watch(address, draw)

    assert watched.shown == ["24 lines"] * 2
    assert watched.pauses == [watching.INTERVAL] * 5


def test_each_minute_there_is_a_new_one_since_silence_counts_too(watched: Watched, tmp_path: Path) -> None:
    fill(str(tmp_path / "callers.db"), call(NOW))
    watched.minutes = (number // 20 for number in itertools.count())
    watched.happens = iter([nothing] * 20)
    watching.watch(str(tmp_path / "callers.db"), draw)

    assert len(watched.shown) > 1


def test_a_window_of_another_size_gets_a_new_one(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(str(tmp_path / "callers.db"), call(NOW))
    watched.happens = iter([nothing, lambda: monkeypatch.setitem(os.environ, "COLUMNS", "77"), nothing])
    watching.watch(str(tmp_path / "callers.db"), draw)

    assert len(watched.shown) == 2


def test_a_ledger_that_cannot_be_read_is_tried_again(watched: Watched, tmp_path: Path) -> None:
    ledger = tmp_path / "callers.db"

    def read(out: TextIO, lines: int) -> None:
        if not ledger.exists():
            raise NoLog("callers.db: No such file or directory")
        draw(out, lines)

    watched.happens = iter([nothing, lambda: fill(str(ledger), call(NOW), file="log"), nothing])
    watching.watch(str(ledger), read)

    assert watched.shown == [
        "callers.db: No such file or directory. It is tried again; press Ctrl-C to end.\n",
        "24 lines",
    ]
