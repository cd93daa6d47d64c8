import io
import sys

import pytest

from proxy.output import terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_reading_that_takes_its_time_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "SOON", -1.0)
    with terminal.progress(1000) as advance:
        advance(500)

    assert "reading" in shown.getvalue()
    assert "0.5/1.0 kB" in shown.getvalue()


def test_reading_that_is_over_soon_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(terminal, "SOON", 3600.0)
    with terminal.progress(1000) as advance:
        advance(1000)

    assert shown.getvalue() == ""


def test_elsewhere_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(terminal, "SOON", -1.0)
    with terminal.progress(1000) as advance:
        advance(1000)

    assert shown.getvalue() == ""
