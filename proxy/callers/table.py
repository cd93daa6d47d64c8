"""Reports on a terminal, or in a pipe: tables, a caller's card, and a progress bar."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Literal, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from proxy.callers import reader
from proxy.callers.render import TREND_WIDTH, Column, columns, conclusion
from proxy.callers.report import Report, Row
from proxy.callers.words import ASCII_BLOCKS, BLOCKS

_STYLES = {
    "active": "bold red",
    "fading": "yellow",
    "quiet": "cyan",
    "retired": "green",
    "Verdict: safe to remove": "bold green",
    "Verdict: not yet": "bold red",
    "Verdict: cannot tell": "bold yellow",
}
_WIDE = 120
_NARROW_TREND = 10
"""Characters of a terminal that has room for a whole trend, and how many a trend gets in another."""

_UNLIMITED = 100_000
"""Characters a line, where nobody wants it cut."""

_SOON = 1.0
"""Seconds after which somebody who waits wants to see something move."""


def show(report: Report, rows: Sequence[Row], out: TextIO) -> None:
    """Print a report: as wide as the terminal, in colour; or plain, whole and a line a row, where there is none."""
    console = Console(file=out, width=None if out.isatty() else _UNLIMITED, highlight=False, emoji=False)
    shown = columns(report, blocks(out), TREND_WIDTH if console.width >= _WIDE else _NARROW_TREND)
    with console.capture() as printed:
        console.print(_table(shown, rows))
        console.print()
        for line in conclusion(report):
            console.print(Text(line, style=_STYLES.get(line, "")))
    out.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))


def _table(shown: list[Column], rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in shown:
        justify: Literal["right", "left"] = "right" if column.is_number else "left"
        table.add_column(column.title, justify=justify, no_wrap=True, overflow="ellipsis")
    for row in rows:
        *cells, state = (column.text(row) for column in shown)
        table.add_row(*map(Text, cells), Text(state, style=_STYLES[state]))
    return table


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
        if not bar.live.is_started and time.monotonic() > begun + _SOON:
            bar.start()

    try:
        yield advance
    finally:
        bar.stop()
