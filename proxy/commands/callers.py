"""Reports who still calls, and whether it is safe to switch the withdrawn API off."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from proxy.callers.log.files import NoLog
from proxy.callers.render import formats
from proxy.callers.report.aggregator import DIMENSIONS
from proxy.callers.report.analysis import Analysis
from proxy.callers.report.report import CallerReport, Gate, still_calling
from proxy.callers.report.rhythm import EVERY_STATE
from proxy.callers.report.rows import Row
from proxy.commands.log_options import add_logs, add_period, duration, read_logs
from proxy.commands.options import add_config, add_format, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config
from proxy.output import messages

SUMMARY = "show who still calls, and whether the API can be switched off"
EPILOG = """\
examples:
  trigger-shim callers --since 30d
  zcat old/*.gz | trigger-shim callers --format csv -"""

_GATE_STATUS: dict[Gate, ExitStatus] = {
    "nobody": ExitStatus.OK,
    "somebody": ExitStatus.FAILED,
    "unknown": ExitStatus.CANNOT_TELL,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_logs(parser)
    add_period(parser)
    parser.add_argument("--by", choices=DIMENSIONS, default="caller", help="what each row stands for (default: caller)")
    parser.add_argument(
        "--state", choices=EVERY_STATE, action="append", help="show only rows in this state; can be repeated"
    )
    parser.add_argument(
        "--sort",
        choices=("state", *_SORT_KEYS),
        default="state",
        metavar="KEY",
        help=f"state, {', '.join(_SORT_KEYS)} (default: state, then calls)",
    )
    parser.add_argument("--limit", type=_positive_number, metavar="N", help="show at most N rows")
    add_format(parser, "table", "json", "csv", "markdown", "html")
    parser.add_argument(
        "--fail-if-active",
        type=duration,
        metavar="DURATION",
        help="exit with 1 if somebody called within the last DURATION, such as 14d, and with 3 if the log cannot tell",
    )


def run(options: argparse.Namespace) -> ExitStatus:
    config = require_config(options)
    try:
        analysis = read_logs(
            config,
            options.files,
            by=options.by,
            since=options.since,
            until=options.until,
            wants_detail=lambda _: options.format == "html",
        )
    except NoLog as problem:
        status = ExitStatus.CANNOT_TELL if options.fail_if_active else ExitStatus.USAGE
        raise CommandError(status, str(problem)) from None
    _print(options.format, analysis, _selected_rows(analysis.report, options), config)
    messages.info(formats.reading(analysis.read))
    if not options.fail_if_active:
        return ExitStatus.OK
    return _GATE_STATUS[still_calling(analysis.report, options.fail_if_active)]


def _print(output_format: str, analysis: Analysis, rows: list[Row], config: Config) -> None:
    report, counts = analysis.report, analysis.read
    match output_format:
        case "table":
            formats.show_table(report, rows, sys.stdout)
        case "json":
            print(formats.to_json(report, rows, counts))
        case "csv":
            print(formats.to_csv(report, rows), end="")
        case "markdown":
            print(formats.to_markdown(report, rows, counts), end="")
        case "html":
            from proxy.callers.render import html_page  # noqa: PLC0415 - only this format needs jinja2

            print(html_page.to_html(analysis, rows, config.upstream.url), end="")


def _selected_rows(report: CallerReport, options: argparse.Namespace) -> list[Row]:
    rows = [row for row in report.rows if not options.state or row.state in options.state]
    if options.sort != "state":
        rows.sort(key=_SORT_KEYS[options.sort])
    return rows[: options.limit]


_SORT_KEYS: dict[str, Callable[[Row], Any]] = {
    "calls": lambda row: -row.calls,
    "name": lambda row: row.name,
    "last_seen": lambda row: -row.last_seen.timestamp(),
    "first_seen": lambda row: row.first_seen,
    "interval": lambda row: row.interval if row.interval is not None else float("inf"),
    "errors": lambda row: -row.error_share,
}


def _positive_number(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a row count; write a whole number, 1 or more")
    return int(value)
