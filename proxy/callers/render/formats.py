"""Reports as a table, JSON, CSV and Markdown."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TextIO
from unicodedata import normalize

from proxy.callers.render.profile import CallerProfile
from proxy.callers.report.analysis import ReadCounts
from proxy.callers.report.coverage import Span
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rhythm import DAY, RETIRED_AFTER, UNKNOWN_RETIRED_AFTER, USUAL_PAUSES
from proxy.callers.report.rows import Row
from proxy.callers.report.strangers import WHO
from proxy.output import terminal
from proxy.output.formatting import (
    BLOCKS,
    code,
    duration,
    interval,
    json_text,
    minute,
    percent,
    pluralize,
    printable,
    shortened,
    sparkline,
    table_code,
)
from proxy.withdrawn.lifecycle import Change

REASONS = 10
"""How many reasons for the verdict people see. JSON has all of them."""

_TREND_WIDTH = 32
"""Maximum characters of a sparkline. 31 days before now touch 32 dates."""

_STYLES = {"active": "bold red", "fading": "yellow", "quiet": "cyan", "retired": "green", "stranger": "dim"}
_VERDICTS = {"safe": "bold green", "not_yet": "bold red", "cannot_tell": "bold yellow"}
_VERDICT = "Verdict: "
_DISPENSABLE = ("trend", "interval", "errors", "user", "next", "owner", "callers")
"""Titles of the columns that a narrow terminal leaves out, in this order."""


class Column(NamedTuple):
    """A column of a table for people.

    Attributes:
        min_width: on a narrow terminal, its cells may be cut to this width; None if they are never cut.
    """

    title: str
    text: Callable[[Row], str]
    is_number: bool = False
    min_width: int | None = None

    @property
    def is_untrusted(self) -> bool:
        """Whether callers or the log chose the texts, which can have any length."""
        return self.min_width is not None


def columns(report: CallerReport, blocks: str = BLOCKS) -> list[Column]:
    """The columns of a report. Sparklines are drawn with the characters in `blocks`."""
    name = Column(report.by, lambda row: printable(row.name), min_width=24)
    callers = Column("callers", lambda row: str(row.callers), is_number=True)
    owner = Column("owner", lambda row: printable(row.owner or "-"), min_width=12)
    return [
        name,
        *([callers] if report.by != "caller" else []),
        *([owner] if report.by != "owner" else []),
        Column("user", _users, min_width=12),
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


def conclusion(report: CallerReport, quote: Callable[[str], str] = printable) -> list[str]:
    """The lines below the table: retired callers, what the log covers, the verdict and its reasons.

    `quote` makes untrusted text safe to show.
    """
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
        f"{_VERDICT}{VERDICTS[report.verdict]}{_earliest(report, quote)}",
        *(f"  {quote(reason)}" for reason in report.reasons[:REASONS]),
        *([f"  and {more} more"] if more > 0 else []),
    ]


def stranger_line(report: CallerReport) -> str | None:
    """A sentence on the calls of strangers; None if there are none."""
    if not report.strangers:
        return None
    last = minute(max(row.last_seen for row in report.strangers))
    calls, networks = pluralize(report.stranger_calls, "call"), pluralize(len(report.strangers), "network")
    return f"Strangers made {calls} from {networks}, the last at {last}. {WHO}"


def _earliest(report: CallerReport, quote: Callable[[str], str]) -> str:
    if report.safe_at is None:
        return ""
    last = f" (the last caller is {quote(shortened(report.last.name))})" if report.last is not None else ""
    gone = " and the silent hosts are gone" if report.has_silent_hosts else ""
    return f"; {minute(report.safe_at)} at the earliest, if nobody calls again{gone}{last}"


RETIRED = (
    f"A job is retired after a silence of {RETIRED_AFTER / DAY:g} days and {USUAL_PAUSES:g} times its usual pause, or"
    f" at least {UNKNOWN_RETIRED_AFTER / DAY:g} days if its rhythm is not known; a caller, when all its jobs are."
)
"""When a caller is retired. Shown in every report, because dates depend on it."""

VERDICTS = {"safe": "safe to remove", "not_yet": "not yet", "cannot_tell": "cannot tell"}


# --- table


def show_table(report: CallerReport, rows: Sequence[Row], out: TextIO) -> None:
    """Print a report: on a terminal, in colour and as wide as it is; otherwise plain, with one full line per row."""
    _show_rows(report, rows, out)
    terminal.show_line(out, "")
    for line in conclusion(report):
        terminal.show_line(out, line, _verdict_style(report, line))


_AROUND_ROWS = 8
"""Lines of a screen besides the rows: titles, columns that are left out, more rows, verdict and time, some wrapped."""


def show_screen(report: CallerReport, rows: Sequence[Row], out: TextIO, lines: int) -> None:
    """Print a report on a screen with so many lines: as many rows as fit, and the verdict."""
    room = max(lines - _AROUND_ROWS, 1)
    _show_rows(report, rows[:room], out)
    if len(rows) > room:
        terminal.show_line(out, f"and {pluralize(len(rows) - room, 'more row')}")
    terminal.show_line(out, "")
    verdict = next(line for line in conclusion(report) if line.startswith(_VERDICT))
    terminal.show_line(out, verdict, _verdict_style(report, verdict))
    terminal.show_line(out, f"As of {report.now:%Y-%m-%d %H:%M:%S} UTC. Press Ctrl-C to end.")


def _show_rows(report: CallerReport, rows: Sequence[Row], out: TextIO) -> None:
    shown = [
        terminal.Column(
            column.title,
            [column.text(row) for row in rows],
            column.is_number,
            column.min_width,
            _STYLES if column.title == "state" else {},
        )
        for column in columns(report, terminal.blocks(out))
    ]
    is_empty = any(column.title == "next" and set(column.cells) <= {"-"} for column in shown)
    terminal.show_table(out, shown, [_DISPENSABLE[0], *(["next"] if is_empty else []), *_DISPENSABLE[1:]])


def _verdict_style(report: CallerReport, line: str) -> str:
    return _VERDICTS[report.verdict] if line.startswith(_VERDICT) else ""


# --- JSON


def to_json(report: CallerReport, rows: Sequence[Row], read: ReadCounts) -> Iterator[str]:
    """The report as a JSON object, which README.md describes, in pieces: there can be thousands of rows."""
    head = {
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
    }
    yield json_text(head).removesuffix("\n}")
    yield from _json_list(f"{report.by}s", (_row(row, report.by) for row in rows if not row.is_stranger))
    yield from _json_list("strangers", (_row(row, report.by) for row in rows if row.is_stranger))
    yield "\n}\n"


def _json_list(key: str, items: Iterable[Any]) -> Iterator[str]:
    yield f',\n  "{key}": ['
    separator = ""
    for item in items:
        yield f"{separator}\n    " + json_text(item).replace("\n", "\n    ")
        separator = ","
    yield "\n  ]" if separator else "]"


def profile_to_json(profile: CallerProfile) -> str:
    """The profile of a caller as a JSON object."""
    return json_text(
        {
            **_row(profile.row, "caller"),
            **profile.detail.counts,
            **({"names": profile.detail.names} if profile.row.is_stranger else {}),
            "changes": [change._asdict() for change in profile.changes],
            **({"places": [place._asdict() for place in profile.places]} if profile.places is not None else {}),
            "last_calls": profile.detail.last_calls,
        }
    )


_ROW = "owner contact user users calls by_day first_seen last_seen interval error_share state retired_at".split()


def _row(row: Row, by: str) -> dict[str, Any]:
    is_group = by != "caller"
    name: dict[str, Any] = {by: row.name}
    name |= {"callers": row.callers} if is_group else {"source": row.source, "predecessor": row.predecessor}
    values = {key: getattr(row, key) for key in _ROW if key != by}
    return name | values | row.counts | {"next": _next(row.effect.next_change), "refused": row.effect.permanent_refusal}


def _next(change: Change | None) -> dict[str, Any] | None:
    return {"at": change.at, "kind": change.kind, "until": change.until} if change is not None else None


def _span(span: Span) -> dict[str, Any]:
    return {"from": span.begin, "to": span.end, "seconds": span.length.total_seconds()}


# --- CSV

_CSV = "owner contact user calls first_seen last_seen interval error_share state retired_at".split()


_FORMULA = re.compile(r"\W*?[=+\-@\t\r\n]")
"""What begins a formula, also behind white space and quotes. NFKC makes these characters of the full-width ones."""


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
    return "'" + text if isinstance(value, str) and _FORMULA.match(normalize("NFKC", value)) else text


# --- Markdown


def to_markdown(report: CallerReport, rows: Sequence[Row], read: ReadCounts) -> str:
    """The table and the lines below it as Markdown, with untrusted text as code: never markup, a link or a mention."""
    shown = columns(report)
    lines = [
        "| " + " | ".join(column.title for column in shown) + " |",
        "|" + "|".join(" ---: " if column.is_number else " --- " for column in shown) + "|",
        *("| " + " | ".join(_markdown_cell(column, row) for column in shown) + " |" for row in rows),
    ]
    below = [f"- {line.strip()}" for line in (*conclusion(report, code), reading(read))]
    return "\n".join([*lines, "", *below, ""])


def _markdown_cell(column: Column, row: Row) -> str:
    text = column.text(row)
    return table_code(text) if column.is_untrusted and text != "-" else text


def reading(read: ReadCounts) -> str:
    """What was read, as a sentence."""
    records = f"{pluralize(read.calls, 'call')} and {pluralize(read.heartbeats, 'heartbeat')}"
    if not read.files:
        return f"Read {pluralize(read.calls, 'call')} in the ledger."
    return f"Read {records} in {pluralize(read.files, 'file')}; skipped {pluralize(read.skipped, 'line')}."
