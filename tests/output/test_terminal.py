import io
import re
import sys
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from proxy.output import terminal
from proxy.output.formatting import printable
from proxy.output.terminal import Column, fit
from tests.support.terminals import Terminal, plain


def test_reading_that_takes_its_time_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "SOON", -1.0)
    with terminal.progress(1000) as advance:
        advance(500)

    assert "reading" in shown.shown()
    assert "0.5/1.0 kB" in shown.shown()


def test_files_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "SOON", -1.0)
    with terminal.file_progress(1000) as advance:
        advance(500)

    assert "500/1000" in shown.shown()


def test_reading_that_is_over_soon_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(terminal, "SOON", 3600.0)
    with terminal.progress(1000) as advance:
        advance(1000)

    assert shown.shown() == ""


def test_elsewhere_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(terminal, "SOON", -1.0)
    with terminal.progress(1000) as advance:
        advance(1000)

    assert shown.getvalue() == ""


# --- tables

NAMES = ["nightly", "x" * 300, "夜" * 150, "e\u0301" * 200, "10.1.2.3 Mozilla/5.0 (" + "é夜 " * 40, "a"]


def columns(*names: str) -> list[Column]:
    return [
        Column("name", names, min_width=20),
        Column("owner", [name[::-1] for name in names], min_width=12),
        Column("calls", [str(10**index) for index, _ in enumerate(names)], is_number=True),
        Column("trend", ["█" * 31 for _ in names]),
        Column("state", ["active" for _ in names], styles={"active": "bold red"}),
    ]


def shown(monkeypatch: pytest.MonkeyPatch, width: int, shown: list[Column]) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    terminal.show_table(out, shown, ["trend", "owner"])
    return out.shown().splitlines()


def test_a_table_fits_and_always_has_what_cannot_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for width in range(40, 201):
        lines = [plain(line) for line in shown(monkeypatch, width, columns(*NAMES))]
        table = lines[: len(NAMES) + 1]

        assert max(map(cell_len, lines)) <= width
        assert table[0].split()[-1] == "state"
        assert [re.split(r" {2,}", line)[-1] for line in table[1:]] == ["active"] * len(NAMES)
        assert all(re.search(rf" {10**index}  ", line) for index, line in enumerate(table[1:]))
        left_out = [title for title in ("owner", "trend") if title not in table[0].split()]
        said = [f"Not shown at this width: {', '.join(left_out)}. --format json has them."] if left_out else []
        assert " ".join(lines[len(table) :]) == "".join(said)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])), max_size=5),
    st.integers(80, 200),
)
def test_any_text_leaves_the_columns_behind_it_in_line(texts: list[str], width: int) -> None:
    names = [printable(text) for text in texts]
    found = fit(columns(*names), ["trend", "owner"], width)

    assert sum(found.values()) + 2 * (len(found) - 1) <= width
    assert {"name", "calls", "state"} <= found.keys()
    assert found["name"] >= min(20, max(map(cell_len, ["name", *names])))


def test_a_long_text_is_cut_to_leave_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 80, [Column("name", ["x" * 300], min_width=9), Column("owner", ["team-a"], min_width=3)])

    assert lines[1] == "x" * 71 + "…  team-a"


def test_long_texts_share_what_is_left() -> None:
    long = [Column(title, ["x" * 300], min_width=width) for title, width in (("name", 20), ("owner", 10))]

    assert fit([*long, Column("user", ["x" * 12], min_width=10)], [], 80) == {"name": 37, "owner": 27, "user": 12}


def test_columns_stay_in_line_behind_wide_and_combining_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 80, [Column("name", ["夜", "e\u0301", "ab"], min_width=9), Column("state", ["x"] * 3)])

    assert lines[1:] == ["夜    x", "e\u0301     x", "ab    x"]


def test_only_a_terminal_has_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[1;31mactive\x1b[0m" in shown(monkeypatch, 80, columns("a"))[1]
    out = io.StringIO()
    terminal.show_table(out, columns("x" * 300), ["trend", "owner"])
    assert "\x1b" not in out.getvalue()
    assert "x" * 300 in out.getvalue()


def test_an_encoding_without_a_character_costs_no_column_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = Terminal("ascii")
    terminal.show_table(out, [Column("name", ["夜" * 40, "a"], min_width=20), Column("state", ["x"] * 2)], [])

    assert out.shown().splitlines()[1:] == [r"\u591c" * 11 + r"\u59...  x", "a" + " " * 74 + "x"]


def test_screens_replace_one_another_and_leave_the_terminal_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LINES", "7")
    out, heights = Terminal(), []

    def draw(text: str) -> terminal.Draw:
        def write(screen: TextIO, lines: int) -> None:
            assert (screen.isatty(), screen.encoding) == (True, "utf-8")
            heights.append(lines)
            terminal.show_line(screen, text)

        return write

    with terminal.screens(out) as show:
        show(draw("first"))
        show(draw("second"))
    shown = out.shown()
    assert heights == [7, 7]
    assert shown.index("\x1b[?1049h") < shown.index("first") < shown.index("second") < shown.index("\x1b[?1049l")
