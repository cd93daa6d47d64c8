"""What has changed for callers, as a line, a table, JSON, CSV and Markdown."""

from collections.abc import Callable, Sequence
from typing import Any, TextIO

from proxy.callers.render.cells import csv_text, markdown_table
from proxy.callers.report.cuts import WEEK
from proxy.callers.report.differences import Differences
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rows import Row
from proxy.output import terminal
from proxy.output.formatting import date, duration, minute, printable

_STYLES = {"new": "bold red", "back": "bold red", "more": "red", "less": "yellow", "stopped": "green", "moved": "green"}
_DISPENSABLE = ("owner", "new calls")


def summary(found: Differences) -> str:
    """The line above the table: how many callers are gone, new and back."""
    gone, new, back = found.count("stopped", "moved"), found.count("new"), found.count("back")
    counts = [f"{count} {what}" for count, what in ((gone, "gone"), (new, "new"), (back, "back")) if count]
    return f"since {_since(found)}: {', '.join(counts) or 'nobody new, back or gone'}"


def _since(found: Differences) -> str:
    length = found.cuts.length
    return "last week" if length == WEEK else date(found.cuts.middle)


def compared(report: CallerReport) -> str:
    """What is compared with what, or why nothing is."""
    if report.differences is None:
        return "There is nothing to compare with: the log begins too late, or goes on after --until."
    begin, middle, end = report.differences.cuts
    days = duration((middle - begin).total_seconds())
    return f"Calls from {minute(middle)} to {minute(end)} UTC, and in the {days} before."


def new_calls(row: Row, found: Differences) -> int:
    """How many current calls its token has made in the last days."""
    return sum(day.calls for day in row.current if day.last >= found.cuts.middle)


_CELLS: dict[str, Callable[[Row, Differences], Any]] = {
    "change": lambda row, _: row.difference,
    "caller": lambda row, _: row.name,
    "owner": lambda row, _: row.owner,
    "before": lambda row, _: row.earlier,
    "since": lambda row, _: row.recent,
    "new calls": new_calls,
    "last seen": lambda row, _: row.last_seen,
}
TITLES = tuple(_CELLS)
"""The columns of the table."""

NUMBERS = {"before", "since", "new calls"}
"""Titles of the columns with numbers."""

_UNTRUSTED = {"caller": 24, "owner": 12}


def show_differences(report: CallerReport, rows: Sequence[Row], out: TextIO) -> None:
    """Print the table of the callers among `rows` for which something has changed."""
    if report.differences is not None:
        terminal.show_line(out, summary(report.differences), "bold")
        terminal.show_line(out, "")
        changed = changed_cells(report.differences, rows)
        shown = [
            terminal.Column(
                title,
                [cells[title] for cells in changed],
                title in NUMBERS,
                _UNTRUSTED.get(title),
                _STYLES if title == "change" else {},
            )
            for title in TITLES
        ]
        terminal.show_table(out, shown, _DISPENSABLE)
        terminal.show_line(out, "")
    terminal.show_line(out, compared(report))


def differences_to_csv(report: CallerReport, rows: Sequence[Row]) -> str:
    """The same as CSV, with times in RFC 3339."""
    found = report.differences
    values = [[cell(row, found) for cell in _CELLS.values()] for row in _changed(found, rows)] if found else []
    return csv_text([title.replace(" ", "_") for title in _CELLS], values)


def differences_to_markdown(report: CallerReport, rows: Sequence[Row]) -> str:
    """The same as Markdown."""
    found = report.differences
    if found is None:
        return f"{compared(report)}\n"
    cells = [list(row.values()) for row in changed_cells(found, rows)]
    table = markdown_table(list(TITLES), cells, numbers=NUMBERS, untrusted=_UNTRUSTED)
    return "\n".join([summary(found), "", *table, "", compared(report), ""])


def differences_to_json(report: CallerReport) -> dict[str, Any] | None:
    """What has changed, for the JSON of the whole report; None if there is nothing to compare with."""
    found = report.differences
    if found is None:
        return None
    begin, middle, end = found.cuts
    counts = {"gone": found.count("stopped", "moved"), "new": found.count("new"), "back": found.count("back")}
    rows = [{title.replace(" ", "_"): cell(row, found) for title, cell in _CELLS.items()} for row in found.rows]
    return {"from": begin, "middle": middle, "until": end, **counts, "callers": rows}


def changed_cells(found: Differences, rows: Sequence[Row]) -> list[dict[str, str]]:
    """The table: the text of each column, for each of the callers among `rows` for which something has changed."""
    return [{title: _text(title, row, found) for title in TITLES} for row in _changed(found, rows)]


def _changed(found: Differences, rows: Sequence[Row]) -> list[Row]:
    names = {row.name for row in rows}
    return [row for row in found.rows if row.name in names]


def _text(title: str, row: Row, found: Differences) -> str:
    value = _CELLS[title](row, found)
    if title == "last seen":
        return minute(value)
    if title == "new calls":
        return str(value or "-")
    return "-" if value is None else printable(str(value))
