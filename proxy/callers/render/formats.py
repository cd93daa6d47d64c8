"""Reports as a table, JSON, CSV and Markdown."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TextIO

import msgspec

from proxy.callers.render.profile import CallerProfile
from proxy.callers.report.analysis import ReadCounts
from proxy.callers.report.coverage import Span
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rhythm import DAY, RETIRED_AFTER, UNKNOWN_RETIRED_AFTER
from proxy.callers.report.rows import Row
from proxy.output import terminal
from proxy.output.formatting import (
    BLOCKS,
    duration,
    interval,
    many,
    markdown,
    minute,
    percent,
    printable,
    shortened,
    sparkline,
)
from proxy.withdrawn.lifecycle import Change

TREND_WIDTH = 32
"""Characters of a sparkline at the most: one for each day that the last 31 days fall on."""

REASONS = 10
"""How many reasons for the verdict are told to people; JSON has all."""

_STYLES = {"active": "bold red", "fading": "yellow", "quiet": "cyan", "retired": "green"}
_VERDICTS = {"safe": "bold green", "not_yet": "bold red", "cannot_tell": "bold yellow"}
_DISPENSABLE = ("trend", "interval", "errors", "user", "next", "owner", "callers")
"""Titles of the columns that a narrow terminal can do without, the first one first."""


class Column(NamedTuple):
    """A column of a table for people."""

    title: str
    text: Callable[[Row], str]
    is_number: bool = False


def columns(report: CallerReport, blocks: str, trend_width: int = TREND_WIDTH) -> list[Column]:
    """The columns of a report, with the characters for a sparkline, and how many of them there may be."""
    name = Column(report.by, lambda row: printable(row.name))
    callers = Column("callers", lambda row: str(row.callers), is_number=True)
    owner = Column("owner", lambda row: printable(row.owner or "-"))
    return [
        name,
        *([callers] if report.by != "caller" else []),
        *([owner] if report.by != "owner" else []),
        Column("user", _users),
        Column("calls", lambda row: str(row.calls), is_number=True),
        Column("trend", lambda row: sparkline(row.by_day, trend_width, blocks)),
        Column("last seen", lambda row: minute(row.last_seen)),
        Column("interval", lambda row: interval(row.interval), is_number=True),
        Column("errors", lambda row: percent(row.error_share), is_number=True),
        Column("state", lambda row: row.state),
        *([Column("next", lambda row: row.effect.text)] if report.is_planned else []),
    ]


def _users(row: Row) -> str:
    if row.user is None:
        return "-"
    more = f" +{len(row.users) - 1}" if len(row.users) > 1 else ""
    return printable(row.user) + more


def conclusion(report: CallerReport) -> list[str]:
    """What stands under the table, a line each: how many are retired, what the log covers, the verdict and why."""
    period = report.coverage.period
    gaps = [
        f"{minute(gap.begin)} to {minute(gap.end)} ({duration(gap.length.total_seconds())})"
        for gap in report.coverage.gaps
    ]
    more = len(report.reasons) - REASONS
    return [
        f"{report.retired} of {many(len(report.callers), 'caller')} retired: {RETIRED}",
        f"The log was kept for {percent(report.coverage.share)} of {minute(period.begin)} to {minute(period.end)}, UTC."
        + (f" There is none of {', '.join(gaps[:REASONS])}: calls may be missing." if gaps else ""),
        f"Verdict: {VERDICTS[report.verdict]}{earliest(report)}",
        *(f"  {printable(reason)}" for reason in report.reasons[:REASONS]),
        *([f"  and {more} more"] if more > 0 else []),
    ]


def earliest(report: CallerReport) -> str:
    """When it can be safe, as the end of a sentence; nothing where it is."""
    if report.last is None or report.safe_at is None:
        return ""
    last = printable(shortened(report.last.name))
    return f"; {minute(report.safe_at)} at the earliest, if nobody calls again (the last is {last})"


RETIRED = (
    f"silent for three times the longest pause before, and for {RETIRED_AFTER / DAY:g} days at least,"
    f" or for {UNKNOWN_RETIRED_AFTER / DAY:g} while the rhythm is not known."
)
"""What makes a caller retired, for whoever has to defend a date."""

VERDICTS = {"safe": "safe to remove", "not_yet": "not yet", "cannot_tell": "cannot tell"}


# --- table


def show_table(report: CallerReport, rows: Sequence[Row], out: TextIO) -> None:
    """Print a report: as wide as the terminal, in colour; or plain, whole and a line a row, where there is none."""
    shown = columns(report, terminal.blocks(out))
    texts = {column.title: [column.text(row) for row in rows] for column in shown}
    empty = ["next"] if set(texts.get("next", ())) <= {"-"} else []
    gone = terminal.without_room(texts, [_DISPENSABLE[0], *empty, *_DISPENSABLE[1:]], terminal.columns(out))
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


# --- JSON


def to_json(report: CallerReport, rows: Sequence[Row], source: ReadCounts) -> str:
    """The report as an object; README.md describes it."""
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
            "read": source._asdict(),
            "total": len(report.callers),
            "retired": report.retired,
            f"{report.by}s": [_row(row, report.by) for row in rows],
        }
    )


def profile_to_json(profile: CallerProfile) -> str:
    """Everything on one caller as an object."""
    return json_text(
        {
            **_row(profile.row, "caller"),
            **profile.detail.counts,
            "changes": [change._asdict() for change in profile.changes],
            "last_calls": profile.last_calls,
        }
    )


_ROW = "source owner contact user users calls by_day first_seen last_seen interval error_share state retired_at".split()


def _row(row: Row, by: str) -> dict[str, Any]:
    is_group = by != "caller"
    name = {by: row.name, "callers": row.callers} if is_group else {by: row.name}
    values = {key: getattr(row, key) for key in _ROW if key != by and not (is_group and key == "source")}
    return name | values | row.counts | {"next": _next(row.effect.next), "refused": row.effect.refused}


def _next(change: Change | None) -> dict[str, Any] | None:
    return {"at": change.at, "kind": change.kind, "until": change.until} if change is not None else None


def _span(span: Span) -> dict[str, Any]:
    return {"from": span.begin, "to": span.end, "seconds": span.length.total_seconds()}


def json_text(value: Any) -> str:
    """A value as JSON for people, too: indented, and with nothing in it that a terminal would act on."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return "\n".join(map(printable, text.split("\n")))


# --- CSV

_CSV = "owner contact user calls first_seen last_seen interval error_share state retired_at".split()


def to_csv(report: CallerReport, rows: Sequence[Row]) -> str:
    """The rows, times in RFC 3339, intervals in seconds."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([report.by, "callers", *_CSV, "next_at", "next_kind"])
    for row in rows:
        change = row.effect.next
        coming = [change.at, change.kind] if change is not None else [None, None]
        values = [row.name, row.callers, *(getattr(row, name) for name in _CSV), *coming]
        writer.writerow([_cell(value) for value in values])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).replace("+00:00", "Z")
    # A spreadsheet would take a caller's name for a formula.
    return "'" + value if isinstance(value, str) and value[:1] in set("=+-@\t\r") else str(value)


# --- Markdown


def to_markdown(report: CallerReport, rows: Sequence[Row], source: ReadCounts) -> str:
    """The table and what stands under it."""
    shown = columns(report, BLOCKS)
    lines = [
        "| " + " | ".join(column.title for column in shown) + " |",
        "|" + "|".join(" ---: " if column.is_number else " --- " for column in shown) + "|",
        *("| " + " | ".join(markdown(column.text(row)) for column in shown) + " |" for row in rows),
    ]
    below = [f"- {markdown(line.strip())}" for line in (*conclusion(report), reading(source))]
    return "\n".join([*lines, "", *below, ""])


def reading(source: ReadCounts) -> str:
    """What was read, as a sentence."""
    what = f"{many(source.calls, 'call')} and {many(source.heartbeats, 'heartbeat')} in {many(source.files, 'file')}"
    return f"Read {what}; skipped {many(source.skipped, 'line')}."
