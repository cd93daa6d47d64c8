"""The commands that read the caller log: their options, and what each prints."""

import argparse
import difflib
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from proxy.callers.log.files import NoLog, logs, size
from proxy.callers.render import card_text as text
from proxy.callers.render import formats as render
from proxy.callers.render import table
from proxy.callers.render.card import card
from proxy.callers.report.report import Gate, Report, still_calling
from proxy.callers.report.rhythm import STATES
from proxy.callers.report.rows import Row
from proxy.callers.report.survey import Survey, survey
from proxy.callers.report.tally import DIMENSIONS
from proxy.config import Config, values
from proxy.output import terminal
from proxy.output.diagnostics import operator
from proxy.output.formatting import printable

_GATE: dict[Gate, int] = {"nobody": 0, "somebody": 1, "unknown": 3}
_SORTS = "state calls name last_seen first_seen interval errors".split()


# --- callers


def add_callers_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `callers`."""
    add_logs(parser)
    _add_period(parser)
    parser.add_argument("--by", choices=DIMENSIONS, default="caller", help="what to group by; default: caller")
    parser.add_argument("--state", choices=STATES, action="append", help="only rows in this state; may be repeated")
    parser.add_argument("--sort", choices=_SORTS, default="state", help="default: state, then calls")
    parser.add_argument("--limit", type=_count, metavar="N", help="no more than so many rows")
    parser.add_argument("--format", choices=("table", "json", "csv", "markdown", "html"), default="table")
    parser.add_argument(
        "--fail-if-active",
        type=_duration,
        metavar="TIME",
        help="exit with 1 if somebody called within the last TIME, such as 14d, and with 3 if the log cannot tell",
    )


def callers(config: Config, options: argparse.Namespace) -> int:
    """Report on everybody, and return the exit status."""
    is_wanted = (lambda _: True) if options.format == "html" else (lambda _: False)
    try:
        surveyed = read(config, options, is_wanted)
    except NoLog as problem:
        operator.error(str(problem))
        return _GATE["unknown"] if options.fail_if_active else 2
    report = surveyed.report
    rows = _chosen(report, options)
    match options.format:
        case "table":
            table.show(report, rows, sys.stdout)
        case "json":
            print(render.to_json(report, rows, surveyed.source))
        case "csv":
            print(render.to_csv(report, rows), end="")
        case "markdown":
            print(render.to_markdown(report, rows, surveyed.source), end="")
        case "html":
            from proxy.callers.render import page  # noqa: PLC0415 - its library takes its time to import

            print(page.to_html(surveyed, rows, config.upstream.url), end="")
    operator.info(render.reading(surveyed.source))
    return _GATE[still_calling(report, options.fail_if_active)] if options.fail_if_active else 0


def _chosen(report: Report, options: argparse.Namespace) -> list[Row]:
    rows = [row for row in report.rows if not options.state or row.state in options.state]
    if options.sort != "state":
        rows.sort(key=_KEYS[options.sort])
    return rows[: options.limit]


_KEYS: dict[str, Any] = {
    "calls": lambda row: -row.calls,
    "name": lambda row: row.name,
    "last_seen": lambda row: -row.last_seen.timestamp(),
    "first_seen": lambda row: row.first_seen,
    "interval": lambda row: row.interval if row.interval is not None else float("inf"),
    "errors": lambda row: -row.error_share,
}


# --- caller


def add_caller_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `caller`."""
    parser.add_argument("name", metavar="NAME", help="as `callers` shows it")
    add_logs(parser)
    _add_period(parser)
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")


def caller(config: Config, options: argparse.Namespace) -> int:
    """Tell everything on one caller, and return the exit status."""
    try:
        surveyed = read(config, options, options.name.__eq__)
    except NoLog as problem:
        operator.error(str(problem))
        return 2
    row = next((row for row in surveyed.report.callers if row.name == options.name), None)
    if row is None:
        return unknown(options.name, "in the log", [row.name for row in surveyed.report.callers])
    as_of = surveyed.report.now
    found = card(row, surveyed.details[row.name], config.upstream.url)
    match options.format:
        case "text":
            print(text.card_to_text(found, as_of, terminal.blocks(sys.stdout)), end="")
        case "json":
            print(render.card_to_json(found))
        case "markdown":
            print(text.card_to_markdown(found, as_of), end="")
    return 0


# --- what the commands share


def unknown(name: str, where: str, names: Iterable[str]) -> int:
    """Say that a name is nobody's, with the nearest ones, and return the exit status."""
    near = difflib.get_close_matches(name, list(names), 3, 0.4)
    meant = f"did you mean {', '.join(map(printable, near))}?" if near else "'trigger-shim callers' lists them"
    operator.error(f"{printable(name)}: no such caller {where}; {meant}")
    return 1


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def read(config: Config, options: argparse.Namespace, is_wanted: Any) -> Survey:
    """Read the logs that the options name, else the configured one.

    Raises:
        NoLog: one cannot be read, or there is none.
    """
    paths, present = options.logs or logs(config.callers.log), now()
    with terminal.progress(size(paths)) as progress:
        return survey(
            paths,
            config.callers.known,
            present,
            by=getattr(options, "by", "caller"),
            since=at(getattr(options, "since", None), present),
            until=at(getattr(options, "until", None), present),
            is_wanted=is_wanted,
            progress=progress,
            policy=config.lifecycle,
        )


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Add the files to be read."""
    parser.add_argument(
        "logs",
        nargs="*",
        metavar="LOG",
        help="files, .gz too, or - for standard input; default: callers.log and its rotated siblings",
    )


def _add_period(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=_time, metavar="TIME", help="30d for 30 days ago, a date, or a date-time")
    parser.add_argument("--until", type=_time, metavar="TIME", help="the same; default: now")


_DURATION = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _duration(value: str) -> timedelta:
    found = _DURATION.fullmatch(value)
    if found is None:
        raise argparse.ArgumentTypeError(f"{value!r} is no length of time; write 14d, 12h or 2w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _time(value: str) -> timedelta | datetime:
    if _DURATION.fullmatch(value):
        return _duration(value)
    try:
        moment: datetime = values.read(values.Moment, value)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{problem}, or 30d") from None
    return moment


def time_to_come(value: str) -> timedelta | datetime:
    """Read the same, or ``+2h``, as what `at` takes.

    Raises:
        argparse.ArgumentTypeError: it is neither.
    """
    time = -_duration(value[1:]) if value.startswith("+") else _time(value)
    if isinstance(time, datetime) and not _FIRST <= time < _LAST:
        raise argparse.ArgumentTypeError(f"{value!r} is too far away; write a date of {_FIRST:%Y} to {_LAST:%Y}")
    return time


_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Between them, every time zone and calendar works."""


def at(time: timedelta | datetime | None, now: datetime) -> datetime | None:
    """The time that an option gives: a length counts back from now."""
    return now - time if isinstance(time, timedelta) else time


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is no count; write a whole number, 1 or more")
    return int(value)
