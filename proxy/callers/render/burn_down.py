"""Callers and calls by day, as a table, JSON, CSV and Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from proxy.callers.render.cells import csv_text, markdown_table
from proxy.callers.report.burn_down import BurnDownDay
from proxy.output import terminal
from proxy.output.formatting import day, json_text, percent

TITLES = ("day", "calls", "callers", "calling", "coverage", "marks")
_NUMBERS = {"calls", "callers", "calling", "coverage"}


def show_days(days: Sequence[BurnDownDay], out: TextIO) -> None:
    """Print a table."""
    cells = [_cells(each) for each in days]
    columns = [
        terminal.Column(title, [row[index] for row in cells], title in _NUMBERS) for index, title in enumerate(TITLES)
    ]
    terminal.show_table(out, columns, ())


def days_to_csv(days: Sequence[BurnDownDay]) -> str:
    """A line for each day."""
    rows = [
        [day(each.day), each.calls, each.callers, each.calling, each.coverage, " ".join(each.marks)] for each in days
    ]
    return csv_text(TITLES, rows)


def days_to_markdown(days: Sequence[BurnDownDay]) -> str:
    """A table as Markdown."""
    table = markdown_table(TITLES, map(_cells, days), numbers=_NUMBERS, untrusted=())
    return "".join(f"{line}\n" for line in table)


def days_to_json(days: Sequence[BurnDownDay]) -> str:
    """A JSON object with the days."""
    return json_text({"days": list(day_objects(days))})


def day_objects(days: Sequence[BurnDownDay]) -> Iterator[dict[str, Any]]:
    """Each day for JSON."""
    return (each._asdict() | {"day": day(each.day)} for each in days)


def _cells(each: BurnDownDay) -> list[str]:
    numbers = [str(number) for number in (each.calls, each.callers, each.calling)]
    return [day(each.day), *numbers, percent(each.coverage), ", ".join(each.marks) or "-"]
