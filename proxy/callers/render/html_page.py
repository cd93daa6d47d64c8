"""The report as one HTML page, which loads nothing from elsewhere and works without its script."""

import functools
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from proxy.callers.render import assets, buckets, chart
from proxy.callers.render.buckets import Bucket
from proxy.callers.render.formats import RETIRED, VERDICTS, reading, stranger_line
from proxy.callers.render.links import linked
from proxy.callers.render.marks import policy_marks
from proxy.callers.render.page_table import Table
from proxy.callers.render.profile import make_profile
from proxy.callers.render.profile_text import UNKNOWN, call_line
from proxy.callers.render.projection import project
from proxy.callers.report.analysis import Analysis
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rows import Row
from proxy.output.formatting import day, duration, minute, percent, printable
from proxy.withdrawn.lifecycle import Policy

NEW = timedelta(days=7)
"""A caller is new for so long."""

_MOST_REASONS = 5
_MOST_VALUES = 10
_MOST_GAPS = 20
_MOST_MARKS = 12
_PIECE = 100
"""How many parts of the template make a piece."""


def to_html(analysis: Analysis, rows: Sequence[Row], base: str, policy: Policy) -> Iterator[str]:
    """The page, in pieces: the verdict, the burn-down, a table, and what each caller must change.

    Args:
        analysis: the report, with the details of all callers in `rows`.
        rows: the rows of the report to show.
        base: URL of the service.
        policy: the dates that the burn-down shows.
    """
    report, macros = analysis.report, _template("details").module

    def details(row: Row) -> str:
        return str(macros.details(make_profile(row, analysis.detail_of(row.name), base)))  # type: ignore[attr-defined]

    shown, projection = buckets.buckets(report), project(report)
    marks = policy_marks(policy, report.coverage.period.begin, report.now)
    page = _template("page").stream(
        report=report,
        rows=rows,
        total=len(report.rows),
        table=Table(report, rows, details if report.by == "caller" else None),
        verdict=VERDICTS[report.verdict],
        figures=figures(report),
        strangers=stranger_line(report),
        shown=shown,
        unit=_unit(buckets.bucket_days(len(report.days))),
        chart=chart.make_chart(shown, report.coverage.gaps, marks, projection),
        marks=marks,
        projection=projection,
        trend=_trend(shown),
        reading=reading(analysis.read),
    )
    page.enable_buffering(_PIECE)
    return (piece.encode("ascii", "xmlcharrefreplace").decode() for piece in page)


class Figures(NamedTuple):
    """The numbers of callers at the top of the page.

    Attributes:
        calling: not retired.
        gone: retired.
        new: first seen within the last week, and not the successor of another.
        without_owner: of those that are calling.
    """

    calling: int
    gone: int
    new: int
    without_owner: int


def figures(report: CallerReport) -> Figures:
    """Count the callers of a report."""
    calling = [row for row in report.callers if row.state != "retired"]
    new = [row for row in calling if row.first_seen >= report.now - NEW and row.predecessor is None]
    return Figures(len(calling), report.retired, len(new), sum(row.owner is None for row in calling))


def _unit(days: int) -> str:
    return {1: "day", 7: "week"}.get(days, f"{days // 7} weeks")


def _trend(shown: Sequence[Bucket]) -> str:
    """The trend in a sentence, for people who cannot see the chart."""
    busiest = max(shown, key=lambda bucket: bucket.calls)
    calls = sum(bucket.calls for bucket in shown)
    most = f"; the busiest time was {busiest.name} with {busiest.calls}" if len(shown) > 1 and calls else ""
    return f"{shown[0].callers} callers at the beginning and {shown[-1].callers} at the end; {calls} calls{most}."


@functools.cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(f"{name}.html.jinja")


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": day,
        "duration": duration,
        "line": call_line,
        "link": _link,
        "minute": minute,
        "percent": percent,
    }
    environment.globals |= {
        "MOST_GAPS": _MOST_GAPS,
        "MOST_MARKS": _MOST_MARKS,
        "MOST_REASONS": _MOST_REASONS,
        "MOST_VALUES": _MOST_VALUES,
        "POLICY": assets.POLICY,
        "RETIRED": RETIRED,
        "SCRIPT": Markup(assets.SCRIPT),  # noqa: S704 - a file of our own
        "STYLE": Markup(assets.STYLE),  # noqa: S704 - as above
        "UNKNOWN": UNKNOWN,
    }
    return environment


def _link(text: str) -> Markup:
    return Markup(linked(text))  # noqa: S704 - it escapes the text


def _shown(value: Any) -> Any:
    """What the template writes for a value. Any text can come from a caller, so control characters are escaped."""
    return printable(value) if type(value) is str else value
