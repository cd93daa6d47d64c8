"""Reports who still calls, and whether it is safe to switch the withdrawn API off."""

import argparse
import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TextIO

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.log.files import NoLog
from proxy.callers.render import formats
from proxy.callers.report.aggregator import DIMENSIONS
from proxy.callers.report.analysis import Analysis
from proxy.callers.report.report import CallerReport, Gate, still_calling
from proxy.callers.report.rhythm import EVERY_STATE
from proxy.callers.report.rows import Row
from proxy.callers.report.verdict import Verdict
from proxy.commands.log_options import add_expected, add_logs, add_period, duration, ledger_address, read_calls
from proxy.commands.options import add_config, add_format, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.commands.watching import watch
from proxy.config import Config
from proxy.output import messages, terminal

SUMMARY = "show who still calls, and whether the API can be switched off"
EPILOG = """\
examples:
  trigger-shim callers --since 30d
  trigger-shim callers --watch --state active
  trigger-shim callers --fail-unless-safe --expect month-end=31d
  zcat old/*.gz | trigger-shim callers --format csv -"""

_VERDICT_STATUS: dict[Verdict, ExitStatus] = {
    "safe": ExitStatus.OK,
    "not_yet": ExitStatus.FAILED,
    "cannot_tell": ExitStatus.CANNOT_TELL,
}
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
    add_expected(parser)
    parser.add_argument("--watch", action="store_true", help="show the table live, until Ctrl-C")
    parser.add_argument(
        "--fail-unless-safe",
        action="store_true",
        help="exit with 1 if it is not yet safe to remove the API, and with 3 if the log cannot tell",
    )
    parser.add_argument(
        "--fail-if-active",
        type=_window,
        metavar="DURATION",
        help="exit with 1 if somebody called within the last DURATION, such as 14d, and with 3 if the log cannot tell;"
        " a job that runs less often is not seen",
    )


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A report makes hardly any cycles, and looking for them among a million objects takes a tenth of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run(options: argparse.Namespace) -> ExitStatus:
    config = require_config(options)
    return _watch(config, options) if options.watch else _report(config, options)


def _watch(config: Config, options: argparse.Namespace) -> ExitStatus:
    if options.files or options.format != "table" or options.fail_unless_safe or options.fail_if_active:
        raise CommandError(
            ExitStatus.USAGE, "--watch shows the table of the ledger: leave out files, formats and gates"
        )
    if not sys.stdout.isatty():
        raise CommandError(ExitStatus.USAGE, "--watch needs a terminal")
    address = ledger_address(config, options.files, options.ledger)
    if address is None:
        raise CommandError(ExitStatus.USAGE, "--watch reads the ledger, and there is none yet: start the proxy")

    def draw(out: TextIO, lines: int) -> None:
        with _without_garbage_collection():
            report = _analysis(config, options).report
        formats.show_screen(report, _selected_rows(report, options), out, lines)

    try:
        watch(address, draw)
    except LedgerUnavailable as problem:
        raise CommandError(ExitStatus.FAILED, str(problem)) from None
    messages.info("stopped watching")
    return ExitStatus.OK


def _analysis(config: Config, options: argparse.Namespace) -> Analysis:
    return read_calls(
        config,
        options.files,
        options.ledger,
        by=options.by,
        since=options.since,
        until=options.until,
        wants_detail=lambda _: options.format == "html",
        expected=dict(options.expect),
    )


@_without_garbage_collection()
def _report(config: Config, options: argparse.Namespace) -> ExitStatus:
    try:
        analysis = _analysis(config, options)
    except NoLog as problem:
        is_gate = options.fail_unless_safe or options.fail_if_active
        raise CommandError(ExitStatus.CANNOT_TELL if is_gate else ExitStatus.USAGE, str(problem)) from None
    status = _status(analysis.report, options)
    try:
        _print(options.format, analysis, _selected_rows(analysis.report, options), config)
    except BrokenPipeError:  # whoever reads only the first lines still needs the status
        terminal.stop_printing()
    messages.info(formats.reading(analysis.read))
    return status


def _status(report: CallerReport, options: argparse.Namespace) -> ExitStatus:
    """The exit status: the worst one of the gates, where not being able to tell is better than a no."""
    found = {_VERDICT_STATUS[report.verdict]} if options.fail_unless_safe else set()
    if options.fail_if_active:
        found.add(_GATE_STATUS[still_calling(report, options.fail_if_active)])
    return next((status for status in (ExitStatus.FAILED, ExitStatus.CANNOT_TELL) if status in found), ExitStatus.OK)


def _print(output_format: str, analysis: Analysis, rows: list[Row], config: Config) -> None:
    report, counts = analysis.report, analysis.read
    match output_format:
        case "table":
            formats.show_table(report, rows, sys.stdout)
        case "json":
            sys.stdout.writelines(formats.to_json(report, rows, counts))
        case "csv":
            print(formats.to_csv(report, rows), end="")
        case "markdown":
            print(formats.to_markdown(report, rows, counts), end="")
        case "html":
            from proxy.callers.render import html_page  # noqa: PLC0415 - only this format needs jinja2

            sys.stdout.writelines(html_page.to_html(analysis, rows, config.successor_url, config.lifecycle))


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


def _window(value: str) -> timedelta:
    window = duration(value)
    if not window:
        raise argparse.ArgumentTypeError(
            f"{value!r} is no time at all; write how long nobody may have called, as in 14d"
        )
    return window


def _positive_number(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a row count; write a whole number, 1 or more")
    return int(value)
