"""Reports as JSON, CSV and Markdown."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from proxy.callers.render.card import Card
from proxy.callers.report.coverage import Span
from proxy.callers.report.report import Report
from proxy.callers.report.rhythm import DAY, RETIRED_AFTER, STRANGER_RETIRED_AFTER
from proxy.callers.report.rows import Row
from proxy.callers.report.survey import Source
from proxy.output.formatting import (
    BLOCKS,
    duration,
    interval,
    markdown,
    minute,
    percent,
    pluralize,
    printable,
    shortened,
    sparkline,
)
from proxy.withdrawn.lifecycle import Change

TREND_WIDTH = 32
"""Characters of a sparkline at the most: one for each day that the last 31 days fall on."""

REASONS = 10
"""How many reasons for the verdict are told to people; JSON has all."""

PLURALS = {
    "caller": "callers",
    "owner": "owners",
    "repo": "repos",
    "workflow": "workflows",
    "endpoint": "endpoints",
    "agent": "agents",
}


class Column(NamedTuple):
    """A column of a table for people."""

    title: str
    text: Callable[[Row], str]
    is_number: bool = False


def columns(report: Report, blocks: str, trend_width: int = TREND_WIDTH) -> list[Column]:
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
        *([Column("next", lambda row: row.outlook.text)] if report.is_planned else []),
    ]


def _users(row: Row) -> str:
    if row.user is None:
        return "-"
    more = f" +{len(row.users) - 1}" if len(row.users) > 1 else ""
    return printable(row.user) + more


def conclusion(report: Report) -> list[str]:
    """What stands under the table, a line each: how many are retired, what the log covers, the verdict and why."""
    period = report.coverage.period
    gaps = [
        f"{minute(gap.begin)} to {minute(gap.end)} ({duration(gap.length.total_seconds())})"
        for gap in report.coverage.gaps
    ]
    more = len(report.reasons) - REASONS
    return [
        f"{report.retired} of {pluralize(len(report.callers), 'caller')} retired: {RETIRED}",
        f"The log was kept for {percent(report.coverage.share)} of {minute(period.begin)} to {minute(period.end)}, UTC."
        + (f" There is none of {', '.join(gaps[:REASONS])}: calls may be missing." if gaps else ""),
        f"Verdict: {VERDICTS[report.verdict]}{earliest(report)}",
        *(f"  {printable(reason)}" for reason in report.reasons[:REASONS]),
        *([f"  and {more} more"] if more > 0 else []),
    ]


def earliest(report: Report) -> str:
    """When it can be safe, as the end of a sentence; nothing where it is."""
    if report.last is None or report.safe_at is None:
        return ""
    last = printable(shortened(report.last.name))
    return f"; {minute(report.safe_at)} at the earliest, if nobody calls again (the last is {last})"


RETIRED = (
    f"silent for three times the longest pause before, and for {RETIRED_AFTER / DAY:g} days at least,"
    f" or for {STRANGER_RETIRED_AFTER / DAY:g} while the rhythm is not known."
)
"""What makes a caller retired, for whoever has to defend a date."""

VERDICTS = {"safe": "safe to remove", "not_yet": "not yet", "cannot_tell": "cannot tell"}


# --- JSON


def to_json(report: Report, rows: Sequence[Row], source: Source) -> str:
    """The report as an object; README.md describes it."""
    return to_json_text(
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
            PLURALS[report.by]: [_row(row, report.by) for row in rows],
        }
    )


def card_to_json(card: Card) -> str:
    """Everything on one caller as an object."""
    detail = card.detail
    return to_json_text(
        {
            **_row(card.row, "caller"),
            "tokens": detail.tokens,
            "addresses": detail.addresses,
            "errors": detail.errors,
            "ignored_fields": detail.ignored_fields,
            "changes": [change._asdict() for change in card.changes],
            "last_calls": [call._asdict() for call in card.last_calls],
        }
    )


def _row(row: Row, by: str) -> dict[str, Any]:
    values = row._asdict()
    name = {by: values.pop("name")}
    for key in {"in_doubt", "is_let_through", "outlook", by, "callers" if by == "caller" else "source"}:
        values.pop(key, None)
    return name | values | {"next": _next(row.outlook.next), "refused": row.outlook.refused}


def _next(change: Change | None) -> dict[str, Any] | None:
    return {"at": change.at, "kind": change.kind, "until": change.until} if change is not None else None


def _span(span: Span) -> dict[str, Any]:
    return {"from": span.begin, "to": span.end, "seconds": span.length.total_seconds()}


def to_json_text(value: Any) -> str:
    """Any value as indented JSON that is safe to show on a terminal."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return "\n".join(map(printable, text.split("\n")))


# --- CSV

_CSV = "owner contact user calls first_seen last_seen interval error_share state retired_at".split()


def to_csv(report: Report, rows: Sequence[Row]) -> str:
    """The rows, times in RFC 3339, intervals in seconds."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([report.by, "callers", *_CSV, "next_at", "next_kind"])
    for row in rows:
        change = row.outlook.next
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


def to_markdown(report: Report, rows: Sequence[Row], source: Source) -> str:
    """The table and what stands under it."""
    shown = columns(report, BLOCKS)
    lines = [
        "| " + " | ".join(column.title for column in shown) + " |",
        "|" + "|".join(" ---: " if column.is_number else " --- " for column in shown) + "|",
        *("| " + " | ".join(markdown(column.text(row)) for column in shown) + " |" for row in rows),
    ]
    below = [f"- {markdown(line.strip())}" for line in (*conclusion(report), reading(source))]
    return "\n".join([*lines, "", *below, ""])


def reading(source: Source) -> str:
    """What was read, as a sentence."""
    calls, heartbeats = pluralize(source.calls, "call"), pluralize(source.heartbeats, "heartbeat")
    what = f"{calls} and {heartbeats} in {pluralize(source.files, 'file')}"
    return f"Read {what}; skipped {pluralize(source.skipped, 'line')}."
