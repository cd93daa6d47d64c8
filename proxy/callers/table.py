"""Reports on a terminal, or in a pipe: tables, a caller's card, and a progress bar."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Literal, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from proxy.callers import reader
from proxy.callers.render import Column, columns, conclusion
from proxy.callers.report import Report, Row
from proxy.callers.words import ASCII_BLOCKS, BLOCKS

_STYLES = {
    "active": "bold red",
    "fading": "yellow",
    "quiet": "cyan",
    "retired": "green",
}
_VERDICTS = {"safe": "bold green", "not_yet": "bold red", "cannot_tell": "bold yellow"}
_GAP = 2
_NAME_WIDTH = 24
_DISPENSABLE = ("trend", "interval", "errors", "user", "owner", "callers")
"""Titles of the columns that a narrow terminal can do without, the first one first."""

_UNLIMITED = 100_000
"""Characters a line, where nobody wants it cut."""

SOON = 1.0
"""Seconds after which somebody who waits wants to see something move."""


def show(report: Report, rows: Sequence[Row], out: TextIO) -> None:
    """Print a report: as wide as the terminal, in colour; or plain, whole and a line a row, where there is none."""
    console = Console(file=out, width=None if out.isatty() else _UNLIMITED, highlight=False, emoji=False)
    with console.capture() as printed:
        console.print(_table(columns(report, blocks(out)), rows, console.width))
        console.print()
        for line in conclusion(report):
            console.print(Text(line, style=_VERDICTS[report.verdict] if line.startswith("Verdict: ") else ""))
    out.write("".join(f"{line.rstrip()}\n" for line in printed.get().split("\n")[:-1]))


def _table(shown: list[Column], rows: Sequence[Row], width: int) -> Table:
    texts = {column.title: [column.text(row) for row in rows] for column in shown}
    shown = _fitting(shown, texts, width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for column in shown:
        justify: Literal["right", "left"] = "right" if column.is_number else "left"
        table.add_column(column.title, justify=justify, no_wrap=True, overflow="ellipsis")
    for *cells, state in zip(*(texts[column.title] for column in shown), strict=True):
        table.add_row(*map(Text, cells), Text(state, style=_STYLES[state]))
    return table


def _fitting(shown: list[Column], texts: dict[str, list[str]], width: int) -> list[Column]:
    """The columns that there is room for: all others go before a name is cut too short to be told from another."""
    needed = {title: max(map(cell_len, [title, *cells])) + _GAP for title, cells in texts.items()}
    name = shown[0].title
    needed[name] = min(needed[name], _NAME_WIDTH)
    gone: set[str] = set()
    for title in _DISPENSABLE:
        if sum(needed.values()) > width and title in needed:
            gone.add(title)
            del needed[title]
    return [column for column in shown if column.title not in gone]


def blocks(out: TextIO) -> str:
    """The characters for a sparkline that a stream can take."""
    return BLOCKS if "utf" in (out.encoding or "").lower() else ASCII_BLOCKS


@contextlib.contextmanager
def progress(size: int) -> Iterator[reader.Progress]:
    """A bar on standard error for so many bytes, from the first second on, where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task, begun = bar.add_task("reading", total=size), time.monotonic()

    def advance(count: int) -> None:
        bar.advance(task, count)
        if not bar.live.is_started and time.monotonic() > begun + SOON:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()
