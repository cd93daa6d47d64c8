"""The report as one page of HTML, without scripts and without anything from elsewhere."""

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from proxy.callers.render import chart
from proxy.callers.render.chart import Bucket
from proxy.callers.render.formats import REASONS, RETIRED, VERDICTS, Column, columns, reading
from proxy.callers.render.profile import CallerProfile, make_profile
from proxy.callers.render.profile_text import UNKNOWN
from proxy.callers.report.analysis import Analysis
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rhythm import STATES
from proxy.callers.report.rows import Row
from proxy.output.formatting import day, duration, interval, minute, percent, printable

SECTIONS = 200
"""How many callers are told of in detail, the first ones of the table."""

_TEMPLATE = Path(__file__).with_name("page.html.jinja")
_TREND_WIDTH = 45
_MOST_VALUES = 10
_MOST_GAPS = 20


def to_html(analysis: Analysis, rows: Sequence[Row], base: str) -> str:
    """The page: the verdict, the trend, a table, and what each caller must change.

    Args:
        analysis: the report, with the details of every caller in `rows`.
        rows: those to be shown, of the report.
        base: address of the service.
    """
    report = analysis.report
    profiles = (
        [make_profile(row, analysis.details[row.name], base) for row in rows[:SECTIONS]]
        if report.by == "caller"
        else []
    )
    shown = chart.buckets(report)
    html = _template().render(
        report=report,
        rows=rows,
        profiles=profiles,
        total=len(report.rows),
        verdict=VERDICTS[report.verdict],
        states=Counter(row.state for row in report.callers),
        columns=[(column, _kind(column, report)) for column in columns(report, "")],
        shown=shown,
        unit=_unit(chart.bucket_days(len(report.days))),
        chart=chart.make_chart(shown, report.coverage.gaps),
        trend=_trend(shown),
        reading=reading(analysis.read),
    )
    # In ASCII, it is right in whatever encoding it is printed, kept and mailed.
    return html.encode("ascii", "xmlcharrefreplace").decode()


class _Counted(NamedTuple):
    """Values with how often each came, the most frequent of them; `more` are the others."""

    title: str
    values: list[tuple[str, int]]
    more: int


def _counted(profile: CallerProfile) -> list[_Counted]:
    return [
        _Counted(title, counts.most_common(_MOST_VALUES), max(len(counts) - _MOST_VALUES, 0))
        for title, counts in profile.counted
    ]


def _kind(column: Column, report: CallerReport) -> str:
    if column.title in {report.by, "state", "trend"}:
        return "name" if column.title == report.by else column.title
    return "number" if column.is_number else "text"


def _unit(days: int) -> str:
    return {1: "day", 7: "week"}.get(days, f"{days // 7} weeks")


def _trend(shown: Sequence[Bucket]) -> str:
    """The trend in a sentence, for who cannot see the picture."""
    busiest = max(shown, key=lambda bucket: bucket.calls)
    calls = sum(bucket.calls for bucket in shown)
    most = f", {busiest.calls} of them in the busiest time, {busiest.name}" if len(shown) > 1 and calls else ""
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
        "counted": _counted,
        "day": day,
        "duration": duration,
        "interval": interval,
        "minute": minute,
        "percent": percent,
        "spark": lambda row: chart.sparkline_path(row.by_day, _TREND_WIDTH),
    }
    environment.globals |= {
        "MOST_GAPS": _MOST_GAPS,
        "REASONS": REASONS,
        "SECTIONS": SECTIONS,
        "SPARK_HEIGHT": chart.SPARK_HEIGHT,
        "RETIRED": RETIRED,
        "STATES": STATES,
        "UNKNOWN": UNKNOWN,
    }
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _shown(value: Any) -> Any:
    """What the template writes of a value: text is somebody else's, wherever it comes from."""
    return printable(value) if type(value) is str else value
