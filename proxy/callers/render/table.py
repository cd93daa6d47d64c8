"""A report as a table, for a terminal or a pipe."""

from collections.abc import Sequence
from typing import TextIO

from proxy.callers.render.formats import columns, conclusion
from proxy.callers.report.report import Report
from proxy.callers.report.rows import Row
from proxy.output import terminal

_STYLES = {"active": "bold red", "fading": "yellow", "quiet": "cyan", "retired": "green"}
_VERDICTS = {"safe": "bold green", "not_yet": "bold red", "cannot_tell": "bold yellow"}
_DISPENSABLE = ("trend", "interval", "errors", "user", "next", "owner", "callers")
"""Titles of the columns that a narrow terminal can do without, the first one first."""


def show(report: Report, rows: Sequence[Row], out: TextIO) -> None:
    """Print a report: as wide as the terminal, in colour; or plain, whole and a line a row, where there is none."""
    shown = columns(report, terminal.blocks(out))
    texts = {column.title: [column.text(row) for row in rows] for column in shown}
    empty = ["next"] if set(texts.get("next", ())) <= {"-"} else []
    gone = terminal.without_room(texts, [_DISPENSABLE[0], *empty, *_DISPENSABLE[1:]], terminal.width(out))
    shown = [column for column in shown if column.title not in gone]
    lines = zip(*(texts[column.title] for column in shown), strict=True)
    titles = [column.title for column in shown]
    terminal.show_table(
        out,
        (terminal.Title(column.title, column.is_number) for column in shown),
        ([[(cell, _style(title, cell))] for title, cell in zip(titles, line, strict=True)] for line in lines),
    )
    terminal.show_line(out, "")
    for line in conclusion(report):
        terminal.show_line(out, line, _VERDICTS[report.verdict] if line.startswith("Verdict: ") else "")


def _style(title: str, cell: str) -> str:
    return _STYLES[cell] if title == "state" else ""
