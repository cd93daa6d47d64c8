"""The report as one HTML page, without scripts and without anything loaded from elsewhere."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import jinja2

from proxy.callers.render import chart
from proxy.callers.render.chart import Bucket
from proxy.callers.render.formats import REASONS, RETIRED, VERDICTS, Column, columns, reading, stranger_line
from proxy.callers.render.profile import make_profile
from proxy.callers.render.profile_text import UNKNOWN
from proxy.callers.report.analysis import Analysis
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rhythm import STATES
from proxy.callers.report.rows import Row
from proxy.output.formatting import duration, minute, percent, printable

SECTIONS = 200
"""How many callers have a section, the first ones in the table."""

_TEMPLATE = Path(__file__).with_name("page.html.jinja")
_TREND_WIDTH = 45
_MOST_VALUES = 10
_MOST_GAPS = 20


def to_html(analysis: Analysis, rows: Sequence[Row], base: str) -> Iterator[str]:
    """The page, in pieces: the verdict, the trend, a table, and what each caller must change.

    Args:
        analysis: the report, with the details of all callers in `rows`.
        rows: the rows of the report to show.
        base: URL of the service.
    """
    report = analysis.report
    callers = rows[:SECTIONS] if report.by == "caller" else []
    shown = chart.buckets(report)
    kinds = [(column, _kind(column, report)) for column in columns(report)]
    page = _template().stream(
        report=report,
        rows=rows,
        profiles=[make_profile(row, analysis.detail_of(row.name), base) for row in callers],
        total=len(report.rows),
        verdict=VERDICTS[report.verdict],
        strangers=stranger_line(report),
        states=Counter(row.state for row in report.callers),
        columns=kinds,
        table=((row, _cells(row, kinds[1:])) for row in rows),
        shown=shown,
        unit=_unit(chart.bucket_days(len(report.days))),
        chart=chart.make_chart(shown, report.coverage.gaps),
        trend=_trend(shown),
        reading=reading(analysis.read),
    )
    page.enable_buffering(_PIECE)
    # As ASCII, it survives being printed, saved and mailed in any encoding.
    return (piece.encode("ascii", "xmlcharrefreplace").decode() for piece in page)


def _cells(row: Row, kinds: Iterable[tuple[Column, str]]) -> str:
    """All cells of a row but its name. The template itself would take twice as long for them."""
    return "\n".join(_CELLS[kind](row, column) for column, kind in kinds)


def _sparkline(row: Row, _column: Column) -> str:
    width, path = chart.sparkline_path(row.by_day, _TREND_WIDTH)
    size = f'width="{width}" height="{chart.SPARK_HEIGHT}"'
    return f'<td><svg class="spark" aria-hidden="true" {size}><path d="{path}"/></svg></td>'


_CELLS: dict[str, Callable[[Row, Column], str]] = {
    "text": lambda row, column: f"<td>{escape(printable(column.text(row)))}</td>",
    "number": lambda row, column: f'<td class="number">{column.text(row)}</td>',
    "state": lambda row, _column: f'<td><span class="state {row.state}">{row.state}</span></td>',
    "trend": _sparkline,
}

_PIECE = 1000
"""How many parts of the template make a piece."""


def _kind(column: Column, report: CallerReport) -> str:
    if column.title in {report.by, "state", "trend"}:
        return "name" if column.title == report.by else column.title
    return "number" if column.is_number else "text"


def _unit(days: int) -> str:
    return {1: "day", 7: "week"}.get(days, f"{days // 7} weeks")


def _trend(shown: Sequence[Bucket]) -> str:
    """The trend in a sentence, for people who cannot see the chart."""
    busiest = max(shown, key=lambda bucket: bucket.calls)
    calls = sum(bucket.calls for bucket in shown)
    most = f"; the busiest time was {busiest.name} with {busiest.calls}" if len(shown) > 1 and calls else ""
    return f"{shown[0].callers} callers at the beginning and {shown[-1].callers} at the end; {calls} calls{most}."


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "minute": minute,
        "percent": percent,
    }
    environment.globals |= {
        "MOST_GAPS": _MOST_GAPS,
        "MOST_VALUES": _MOST_VALUES,
        "REASONS": REASONS,
        "SECTIONS": SECTIONS,
        "RETIRED": RETIRED,
        "STATES": STATES,
        "UNKNOWN": UNKNOWN,
    }
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _shown(value: Any) -> Any:
    """What the template writes for a value. Any text can come from a caller, so control characters are escaped."""
    return printable(value) if type(value) is str else value
