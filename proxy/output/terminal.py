"""Tables that fit the terminal, colours, and a progress bar."""

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, TextIO

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from proxy.output.encoding import encodable
from proxy.output.formatting import ASCII_BLOCKS, BLOCKS

_GAP = 2
"""Spaces between the columns of a table without rules."""

SOON = 1.0
"""Seconds of waiting after which progress is shown."""

_UNLIMITED = 100_000


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        cells: the texts, one per row.
        is_number: align it to the right.
        min_width: its cells may be cut to this width; None if they are never cut.
        styles: rich styles of cells, by their text; they show only on a terminal.
    """

    title: str
    cells: Sequence[str]
    is_number: bool = False
    min_width: int | None = None
    styles: Mapping[str, str] = {}


Styled = Sequence[tuple[str, str]]
"""Pieces of text, each with a rich style; styles show only on a terminal."""


def width(out: TextIO) -> int:
    """How many characters a line may have: the width of the terminal, or no limit elsewhere."""
    return Console(file=out).width if out.isatty() else _UNLIMITED


def blocks(out: TextIO) -> str:
    """The characters for a sparkline that the stream can encode."""
    return BLOCKS if _is_unicode(out) else ASCII_BLOCKS


def _is_unicode(out: TextIO) -> bool:
    return "utf" in (out.encoding or "").lower()


def fit(columns: Sequence[Column], dispensable: Iterable[str], width: int) -> dict[str, int]:
    """Choose which columns to show, and how wide. Widths count cells of the terminal: a Chinese character takes two.

    Args:
        columns: all columns; the first one gives way if the others alone are too wide.
        dispensable: titles of columns that may be left out, the first one first.
        width: how many cells a line may have.

    Returns:
        The width of each column that is shown, by its title.
    """
    full = {column.title: max(map(_cell_len, (column.title, *column.cells))) for column in columns}
    cuttable = {column.title: column.min_width for column in columns if column.min_width is not None}
    shown = {title: min(size, cuttable.get(title, size)) for title, size in full.items()}
    for title in dispensable:
        if sum(shown.values()) + _GAP * (len(shown) - 1) > width:
            shown.pop(title, None)
    left = width - sum(shown.values()) - _GAP * (len(shown) - 1)
    first = columns[0].title
    shown[first] = max(shown[first] + min(left, 0), 1)
    growing = sorted(filter(cuttable.__contains__, shown), key=lambda title: full[title] - shown[title])
    for others, title in zip(reversed(range(len(growing))), growing, strict=True):
        more = min(full[title] - shown[title], max(left, 0) // (others + 1))
        shown[title] += more
        left -= more
    return shown


def show_table(out: TextIO, columns: Sequence[Column], dispensable: Iterable[str]) -> None:
    """Print a table with one line per row, as wide as the stream, and name the columns that were left out."""
    columns = [column._replace(cells=[encodable(cell, out) for cell in column.cells]) for column in columns]
    widths = fit(columns, dispensable, width(out))
    console, mark = _console(out), "…" if _is_unicode(out) else "..."
    shown = [_lines(console, column, widths[column.title], mark) for column in columns if column.title in widths]
    out.writelines(f"{(' ' * _GAP).join(cells).rstrip()}\n" for cells in zip(*shown, strict=True))
    if left_out := [column.title for column in columns if column.title not in widths]:
        show_line(out, f"Not shown at this width: {', '.join(left_out)}. --format json has them.")


def _lines(console: Console, column: Column, width: int, mark: str) -> Iterator[str]:
    """The title and the cells of a column, all of one width."""
    styles = {"": _style(console, ""), **{text: _style(console, style) for text, style in column.styles.items()}}
    for text in (column.title, *column.cells):
        size = _cell_len(text)
        cut, padding = _cut(text, width, mark) if size > width else text, " " * (width - size)
        begin, end = styles.get(text, ("", ""))
        yield f"{padding}{begin}{cut}{end}" if column.is_number else f"{begin}{cut}{padding}{end}"


def _style(console: Console, style: str) -> tuple[str, str]:
    """What begins and ends a style on this terminal; nothing elsewhere."""
    with console.capture() as sample:
        console.print(Text("|", style), end="")
    begin, _, end = sample.get().partition("|")
    return begin, end


def _cut(text: str, width: int, mark: str) -> str:
    return set_cell_size(text, max(width - len(mark), 0)) + mark[:width]


def _cell_len(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def show_ruled_table(out: TextIO, titles: Iterable[str], rows: Iterable[Sequence[Styled]]) -> None:
    """Print a table with rules between the rows; cells are wrapped."""
    table = Table(box=box.HEAVY_HEAD, show_lines=True, header_style="")
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text.assemble(*((encodable(text, out), style) for text, style in cell)) for cell in row))
    _print(out, table)


def show_line(out: TextIO, line: str, style: str = "") -> None:
    """Print a line, wrapped on a terminal."""
    _print(out, Text(encodable(line, out), style))


def _print(out: TextIO, what: Table | Text) -> None:
    console = _console(out)
    with console.capture() as printed:
        console.print(what)
    out.write("".join(f"{line.rstrip()}\n" for line in printed.get().split("\n")[:-1]))


def _console(out: TextIO) -> Console:
    return Console(file=out, width=width(out), highlight=False, emoji=False)


class _Screen(io.StringIO):
    """Collects what is written for a terminal."""

    def __init__(self, terminal: TextIO) -> None:
        super().__init__()
        self._encoding = terminal.encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the terminal."""
        return self._encoding

    def isatty(self) -> bool:
        """It is one, so there are styles, and lines are cut to its width."""
        return True


Draw = Callable[[TextIO, int], None]
"""Writes a screen of so many lines to a stream."""


@contextlib.contextmanager
def screens(out: TextIO) -> Iterator[Callable[[Draw], None]]:
    """Show one screen after the other on a terminal. At the end of the block, what was there before comes back."""
    with Live(console=Console(file=out, highlight=False, emoji=False), screen=True, auto_refresh=False) as live:

        def show(draw: Draw) -> None:
            screen = _Screen(out)
            draw(screen, live.console.height)
            live.update(Text.from_ansi(screen.getvalue()), refresh=True)

        yield show


def stop_printing() -> None:
    """Discard further output, after the reader of a pipe has closed it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


Advance = Callable[[int], None]
"""Says that so much more is done."""


def progress(size: int) -> AbstractContextManager[Advance]:
    """Show a progress bar for `size` bytes on standard error, after the first second, if that is a terminal."""
    return _progress(size, DownloadColumn())


def file_progress(count: int) -> AbstractContextManager[Advance]:
    """The same for a number of files."""
    return _progress(count, MofNCompleteColumn())


@contextlib.contextmanager
def _progress(total: int, amount: ProgressColumn) -> Iterator[Advance]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    shown = (TextColumn("reading"), BarColumn(), amount, TimeRemainingColumn())
    bar = Progress(*shown, console=console, transient=True)
    task, begun = bar.add_task("reading", total=total), time.monotonic()

    def advance(count: int) -> None:
        bar.advance(task, count)
        if not bar.live.is_started and time.monotonic() > begun + SOON:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()
