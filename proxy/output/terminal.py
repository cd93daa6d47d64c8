"""Tables that fit the terminal, colours, and a progress bar."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from proxy.output.formatting import ASCII_BLOCKS, BLOCKS

_GAP = 2
"""Spaces between the columns of a table without rules."""

SOON = 1.0
"""Seconds of waiting after which progress is shown."""

_UNLIMITED = 100_000
_NAME_WIDTH = 24


class Title(NamedTuple):
    """The heading of a column.

    Attributes:
        is_number: align the column to the right.
    """

    text: str
    is_number: bool = False


Styled = Sequence[tuple[str, str]]
"""Pieces of text, each with a rich style; styles show only on a terminal."""


def width(out: TextIO) -> int:
    """How many characters a line may have: the width of the terminal, or no limit elsewhere."""
    return Console(file=out).width if out.isatty() else _UNLIMITED


def blocks(out: TextIO) -> str:
    """The characters for a sparkline that the stream can encode."""
    return BLOCKS if "utf" in (out.encoding or "").lower() else ASCII_BLOCKS


def without_room(texts: Mapping[str, Sequence[str]], dispensable: Iterable[str], width: int) -> set[str]:
    """Choose the columns to drop, so that the names in the first column are not cut too short.

    Args:
        texts: the cells of each column, by its title; names are in the first one.
        dispensable: titles of columns that may be dropped, the first one first.
        width: how many characters a line may have.
    """
    needed = {title: max(map(cell_len, [title, *cells])) + _GAP for title, cells in texts.items()}
    name = next(iter(texts))
    needed[name] = min(needed[name], _NAME_WIDTH)
    dropped: set[str] = set()
    for title in dispensable:
        if sum(needed.values()) > width and needed.pop(title, None) is not None:
            dropped.add(title)
    return dropped


def show_table(out: TextIO, titles: Iterable[Title], rows: Iterable[Sequence[Styled]]) -> None:
    """Print a table with one line per row; cells are cut if the terminal is too narrow."""
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for title in titles:
        table.add_column(title.text, justify="right" if title.is_number else "left", no_wrap=True, overflow="ellipsis")
    _show(out, table, rows)


def show_ruled_table(out: TextIO, titles: Iterable[str], rows: Iterable[Sequence[Styled]]) -> None:
    """Print a table with rules between the rows; cells are wrapped."""
    table = Table(box=box.HEAVY_HEAD, show_lines=True, header_style="")
    for title in titles:
        table.add_column(title, overflow="fold")
    _show(out, table, rows)


def show_line(out: TextIO, line: str, style: str = "") -> None:
    """Print a line, wrapped on a terminal."""
    _print(out, Text(line, style))


def _show(out: TextIO, table: Table, rows: Iterable[Sequence[Styled]]) -> None:
    for row in rows:
        table.add_row(*(Text.assemble(*cell) for cell in row))
    _print(out, table)


def _print(out: TextIO, what: Table | Text) -> None:
    console = Console(file=out, width=width(out), highlight=False, emoji=False)
    with console.capture() as printed:
        console.print(what)
    out.write("".join(f"{line.rstrip()}\n" for line in printed.get().split("\n")[:-1]))


def stop_printing() -> None:
    """Discard further output, after the reader of a pipe has closed it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def progress(size: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar for `size` bytes on standard error, after the first second, if that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    shown = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*shown, console=console, transient=True)
    task, begun = bar.add_task("reading", total=size), time.monotonic()

    def advance(count: int) -> None:
        bar.advance(task, count)
        if not bar.live.is_started and time.monotonic() > begun + SOON:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()
