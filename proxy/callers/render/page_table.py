"""The table of callers on the page, with the details of as many as fit."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from proxy.callers.render import chart
from proxy.callers.render.links import linked
from proxy.callers.render.next_step import next_step
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rows import Row
from proxy.output.formatting import minute, percent, printable

MAX_BYTES = 4_300_000
"""Size of all rows up to which details are added, so that the page stays below 5 MB and opens at once."""

MAX_TRENDS = 1000
"""A table with more rows has no trends."""

_TREND_WIDTH = 30


class Column(NamedTuple):
    """A column of the table.

    Attributes:
        key: class of its cells, short because a page can have 100,000.
        html: makes the content of a cell.
        sort: how the script sorts it: by text, by number, in the original order, or not at all.
    """

    title: str
    key: str
    html: Callable[[Row], str]
    sort: str = "text"


class Table:
    """The table, made while it is written: with ten thousand rows, keeping it would take megabytes.

    Args:
        report: the report.
        rows: the rows to show.
        details: makes the HTML of the details of a row; None for none.

    Attributes:
        detailed: number of rows that were written with details, the first ones.
    """

    def __init__(self, report: CallerReport, rows: Sequence[Row], details: Callable[[Row], str] | None) -> None:
        self.columns = table_columns(report, rows)
        self.detailed = 0
        self._rows, self._details = rows, details

    def bodies(self) -> Iterator[str]:
        """HTML of each row, with its details."""
        room = MAX_BYTES - sum(len(self._body(row)) for row in self._rows)
        for row in self._rows:
            more = self._more(row) if self._details is not None and room > 0 else ""
            room = room - len(more) if len(more) <= room else 0
            if more and room:
                self.detailed += 1
            yield self._body(row, more if room else "")

    def _body(self, row: Row, more: str = "") -> str:
        name, *others = self.columns
        cells = "".join(f'<td class="{column.key}">{column.html(row)}</td>' for column in others)
        head = _ascii(f'<tr><th scope="row">{name.html(row)}</th>{cells}</tr>')
        return f'<tbody class="{row.state}">{head}{more}</tbody>\n'

    def _more(self, row: Row) -> str:
        details = self._details(row) if self._details is not None else ""
        summary = f"<summary><span>Details of {_name(row)}</span></summary>"
        cell = f'<td colspan="{len(self.columns)}"><details>{summary}{details}</details></td>'
        return _ascii(f'\n<tr class="more">{cell}</tr>')


def table_columns(report: CallerReport, rows: Sequence[Row]) -> list[Column]:
    """The columns of a report; those in which every cell would be empty are left out."""
    is_group = report.by != "caller"
    contacts = any(row.contact is not None for row in rows)
    return [
        Column(report.by, "name", _name),
        *([Column("callers", "n", lambda row: str(row.callers), "number")] if is_group else []),
        Column("state", "s", lambda row: f"<span>{row.state}</span>", "order"),
        *([] if is_group else [Column("next step", "x", lambda row: escape(next_step(row)))]),
        *([Column("next", "x", lambda row: row.effect.summary)] if is_group and report.is_planned else []),
        *([Column("owner", "o", _owner)] if report.by != "owner" else []),
        *([Column("contact", "k", lambda row: linked(row.contact or ""))] if contacts else []),
        Column("calls", "c", lambda row: str(row.calls), "number"),
        Column("errors", "e", lambda row: escape(percent(row.error_share)), "number"),
        *([Column("trend", "t", _trend, "")] if len(rows) <= MAX_TRENDS else []),
        Column("last seen", "l", lambda row: minute(row.last_seen)),
    ]


def _name(row: Row) -> str:
    return escape(printable(row.name))


def _owner(row: Row) -> str:
    return linked(row.owner) if row.owner is not None else "-"


def _trend(row: Row) -> str:
    width, path = chart.sparkline_path(row.by_day, _TREND_WIDTH)
    return f'<svg aria-hidden="true" width="{width}" height="{chart.SPARK_HEIGHT}"><path d="{path}"/></svg>'


def _ascii(text: str) -> str:
    """As ASCII, it survives being printed, saved and mailed in any encoding."""
    return text.encode("ascii", "xmlcharrefreplace").decode()
