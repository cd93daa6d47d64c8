"""Reports as a table, JSON, CSV and Markdown."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TextIO

from proxy.callers.render.profile import CallerProfile
from proxy.callers.report.analysis import ReadCounts
from proxy.callers.report.coverage import Span
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rhythm import DAY, RETIRED_AFTER, UNKNOWN_RETIRED_AFTER
from proxy.callers.report.rows import Row
from proxy.callers.report.strangers import WHO
from proxy.output import terminal
from proxy.output.formatting import (
    BLOCKS,
    duration,
    interval,
    json_text,
    markdown,
    minute,
    percent,
    pluralize,
    printable,
    shortened,
    sparkline,
)
from proxy.withdrawn.lifecycle import Change

REASONS = 10
"""How many reasons for the verdict people see. JSON has all of them."""

_TREND_WIDTH = 32
"""Maximum characters of a sparkline. 31 days before now touch 32 dates."""

_STYLES = {"active": "bold red", "fading": "yellow", "quiet": "cyan", "retired": "green", "stranger": "dim"}
_VERDICTS = {"safe": "bold green", "not_yet": "bold red", "cannot_tell": "bold yellow"}
_DISPENSABLE = ("trend", "interval", "errors", "user", "next", "owner", "callers")
"""Titles of the columns that a narrow terminal leaves out, in this order."""


class Column(NamedTuple):
    """A column of a table for people."""

    title: str
    text: Callable[[Row], str]
    is_number: bool = False


def columns(report: CallerReport, blocks: str = BLOCKS) -> list[Column]:
    """The columns of a report. Sparklines are drawn with the characters in `blocks`."""
    name = Column(report.by, lambda row: printable(row.name))
    callers = Column("callers", lambda row: str(row.callers), is_number=True)
    owner = Column("owner", lambda row: printable(row.owner or "-"))
    return [
        name,
        *([callers] if report.by != "caller" else []),
        *([owner] if report.by != "owner" else []),
        Column("user", _users),
        Column("calls", lambda row: str(row.calls), is_number=True),
        Column("trend", lambda row: sparkline(row.by_day, _TREND_WIDTH, blocks)),
        Column("last seen", lambda row: minute(row.last_seen)),
        Column("interval", lambda row: interval(row.interval), is_number=True),
        Column("errors", lambda row: percent(row.error_share), is_number=True),
        Column("state", lambda row: row.state),
        *([Column("next", lambda row: row.effect.summary)] if report.is_planned else []),
    ]


def _users(row: Row) -> str:
    if row.user is None:
        return "-"
    more = f" +{len(row.users) - 1}" if len(row.users) > 1 else ""
    return printable(row.user) + more


def conclusion(report: CallerReport) -> list[str]:
    """The lines below the table: retired callers, what the log covers, the verdict and its reasons."""
    begin, end = report.coverage.period
    gaps = [
        f"{minute(gap.begin)} to {minute(gap.end)} ({duration(gap.length.total_seconds())})"
        for gap in report.coverage.gaps
    ]
    more = len(report.reasons) - REASONS
    strangers = stranger_line(report)
    return [
        f"{report.retired} of {pluralize(len(report.callers), 'caller')} retired. {RETIRED}",
        *([strangers] if strangers is not None else []),
        f"The log covers {percent(report.coverage.share)} of {minute(begin)} to {minute(end)} UTC."
        + (f" Gaps, in which calls may be missing: {', '.join(gaps[:REASONS])}." if gaps else ""),
        f"Verdict: {VERDICTS[report.verdict]}{_earliest(report)}",
        *(f"  {printable(reason)}" for reason in report.reasons[:REASONS]),
        *([f"  and {more} more"] if more > 0 else []),
    ]


def stranger_line(report: CallerReport) -> str | None:
    """A sentence on the calls of strangers; None if there are none."""
    if not report.strangers:
        return None
    last = minute(max(row.last_seen for row in report.strangers))
    calls, networks = pluralize(report.stranger_calls, "call"), pluralize(len(report.strangers), "network")
    return f"Strangers made {calls} from {networks}, the last at {last}. {WHO}"


def _earliest(report: CallerReport) -> str:
    if report.last is None or report.safe_at is None:
        return ""
    last = printable(shortened(report.last.name))
    return f"; {minute(report.safe_at)} at the earliest, if nobody calls again (the last caller is {last})"


RETIRED = (
    "A caller is retired after a silence of three times its longest pause, but at least"
    f" {RETIRED_AFTER / DAY:g} days, or {UNKNOWN_RETIRED_AFTER / DAY:g} if its rhythm is not known."
)
"""When a caller is retired. Shown in every report, because dates depend on it."""

VERDICTS = {"safe": "safe to remove", "not_yet": "not yet", "cannot_tell": "cannot tell"}


# --- table


def show_table(report: CallerReport, rows: Sequence[Row], out: TextIO) -> None:
    """Print a report: on a terminal, in colour and as wide as it is; otherwise plain, with one full line per row."""
    shown = columns(report, terminal.blocks(out))
    texts = {column.title: [column.text(row) for row in rows] for column in shown}
    empty = ["next"] if set(texts.get("next", ())) <= {"-"} else []
    gone = terminal.without_room(texts, [_DISPENSABLE[0], *empty, *_DISPENSABLE[1:]], terminal.width(out))
    shown = [column for column in shown if column.title not in gone]
    titles = (terminal.Title(column.title, column.is_number) for column in shown)
    terminal.show_table(out, titles, ([[(column.text(row), _style(column, row))] for column in shown] for row in rows))
    terminal.show_line(out, "")
    for line in conclusion(report):
        terminal.show_line(out, line, _VERDICTS[report.verdict] if line.startswith("Verdict: ") else "")


def _style(column: Column, row: Row) -> str:
    return _STYLES[row.state] if column.title == "state" else ""


# --- JSON


def to_json(report: CallerReport, rows: Sequence[Row], read: ReadCounts) -> str:
    """The report as a JSON object, which README.md describes."""
    return json_text(
        {
            "generated_at": report.now,
            "verdict": report.verdict,
            "reasons": report.reasons,
            "safe_at": report.safe_at,
            "coverage": {
                "share": round(report.coverage.share, 6),
                "since": report.coverage.period.begin,
                "until": report.coverage.period.end,
                "gaps": [_span(gap) for gap in report.coverage.gaps],
            },
            "read": read._asdict(),
            "total": len(report.callers),
            "retired": report.retired,
            f"{report.by}s": [_row(row, report.by) for row in rows if not row.is_stranger],
            "strangers": [_row(row, report.by) for row in rows if row.is_stranger],
        }
    )


def profile_to_json(profile: CallerProfile) -> str:
    """The profile of a caller as a JSON object."""
    return json_text(
        {
            **_row(profile.row, "caller"),
            **profile.detail.counts,
            **({"names": profile.detail.names} if profile.row.is_stranger else {}),
            "changes": [change._asdict() for change in profile.changes],
            "last_calls": profile.detail.last_calls,
        }
    )


_ROW = "source owner contact user users calls by_day first_seen last_seen interval error_share state retired_at".split()


def _row(row: Row, by: str) -> dict[str, Any]:
    is_group = by != "caller"
    name = {by: row.name, "callers": row.callers} if is_group else {by: row.name}
    values = {key: getattr(row, key) for key in _ROW if key != by and not (is_group and key == "source")}
    return name | values | row.counts | {"next": _next(row.effect.next_change), "refused": row.effect.permanent_refusal}


def _next(change: Change | None) -> dict[str, Any] | None:
    return {"at": change.at, "kind": change.kind, "until": change.until} if change is not None else None


def _span(span: Span) -> dict[str, Any]:
    return {"from": span.begin, "to": span.end, "seconds": span.length.total_seconds()}


# --- CSV

_CSV = "owner contact user calls first_seen last_seen interval error_share state retired_at".split()


def to_csv(report: CallerReport, rows: Sequence[Row]) -> str:
    """The rows as CSV, with times in RFC 3339 and intervals in seconds."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([report.by, "callers", *_CSV, "next_at", "next_kind"])
    for row in rows:
        change = row.effect.next_change
        coming = [change.at, change.kind] if change is not None else [None, None]
        values = [row.name, row.callers, *(getattr(row, name) for name in _CSV), *coming]
        writer.writerow([_cell(value) for value in values])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).replace("+00:00", "Z")
    text = printable(str(value))
    # Otherwise, a spreadsheet could take the name of a caller for a formula.
    return "'" + text if isinstance(value, str) and value[:1] in set("=+-@\t\r") else text


# --- Markdown


def to_markdown(report: CallerReport, rows: Sequence[Row], read: ReadCounts) -> str:
    """The table and the lines below it as Markdown."""
    shown = columns(report)
    lines = [
        "| " + " | ".join(column.title for column in shown) + " |",
        "|" + "|".join(" ---: " if column.is_number else " --- " for column in shown) + "|",
        *("| " + " | ".join(markdown(column.text(row)) for column in shown) + " |" for row in rows),
    ]
    below = [f"- {markdown(line.strip())}" for line in (*conclusion(report), reading(read))]
    return "\n".join([*lines, "", *below, ""])


def reading(read: ReadCounts) -> str:
    """What was read, as a sentence."""
    records = f"{pluralize(read.calls, 'call')} and {pluralize(read.heartbeats, 'heartbeat')}"
    return f"Read {records} in {pluralize(read.files, 'file')}; skipped {pluralize(read.skipped, 'line')}."
