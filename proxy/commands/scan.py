"""Finds calls of the withdrawn endpoints in files."""

import argparse
import sys
from typing import TextIO

from proxy.callers.log.files import NoLog
from proxy.commands.log_options import add_ledger, read_calls
from proxy.commands.options import add_format, load_config
from proxy.commands.sources import targets
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config, ConfigError
from proxy.output import messages, terminal
from proxy.scan import baseline, render
from proxy.scan.baseline import BaselineError
from proxy.scan.likely_callers import LikelyCallers
from proxy.scan.sarif import sarif
from proxy.scan.scan import Scan

SUMMARY = "find calls of the withdrawn endpoints in files"
EPILOG = """\
Skips files that git ignores, symbolic links, binary files, and, inside folders,
files over 5 MiB. A comment 'trigger-shim: ignore REASON' in the line of a call,
or alone in the line above, suppresses it.

exit status:
  0  nothing found
  1  a path cannot be read, or the command line is wrong
  2  calls found
  3  no calls, but something to look at

examples:
  trigger-shim scan . --exclude vendor --exclude 'docs/*.md'
  trigger-shim scan . --write-baseline scan-baseline.json
  trigger-shim scan . --baseline scan-baseline.json
  trigger-shim scan . --log callers.jsonl
  trigger-shim scan --format sarif .gitlab-ci.yml scripts > withdrawn.sarif"""
USAGE_STATUS = ExitStatus.FAILED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="PATH", help="a file, or a folder to search")
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out files and folders with this name, such as vendor or '*.min.js', or with this path, such as"
        " 'docs/*'; can be repeated",
    )
    known = parser.add_mutually_exclusive_group()
    known.add_argument("--baseline", metavar="FILE", help="do not show the findings that this file lists")
    known.add_argument("--write-baseline", metavar="FILE", help="list all findings in this file, for --baseline")
    calls = parser.add_mutually_exclusive_group()
    calls.add_argument(
        "--log",
        action="append",
        default=[],
        metavar="FILE",
        help="name the callers in this caller log that a call is likely to be; can be repeated",
    )
    add_ledger(calls)
    parser.add_argument(
        "--config", metavar="FILE", help="configuration file, with the names of known callers (default: none)"
    )
    add_format(parser, "table", "json", "markdown", "sarif")


def run(options: argparse.Namespace) -> ExitStatus:
    try:
        known = baseline.read(options.baseline) if options.baseline else set()
        scan = Scan()
        own = filter(None, (options.baseline, options.write_baseline))
        scan.examine(options.files, options.exclude, own, terminal.file_progress)
        if options.baseline:
            scan.leave_out(baseline.known(scan.found, options.baseline, known))
        if options.write_baseline:
            baseline.write(scan.found, options.write_baseline)
            scan.leave_out(scan.found)
    except BaselineError as problem:
        raise CommandError(ExitStatus.FAILED, str(problem)) from None
    scan.drop_notes()
    if options.log or options.ledger:
        scan.name_callers(_likely_callers(options).of)
    try:
        _print(scan, options.format, sys.stdout)
    except BrokenPipeError:  # whoever reads only the first lines still needs the status
        terminal.stop_printing()
    return _report(scan)


def _likely_callers(options: argparse.Namespace) -> LikelyCallers:
    try:
        # Without --config no file is read: one in the working folder may belong to the tool that is scanned.
        config = load_config(options, needs_key=False) if options.config else Config()
        return LikelyCallers(targets(read_calls(config, options.log, options.ledger, wants_detail=lambda _: True)))
    except ConfigError as error:
        raise CommandError(ExitStatus.FAILED, *error.problems) from None
    except NoLog as problem:
        raise CommandError(ExitStatus.FAILED, str(problem)) from None


def _report(scan: Scan) -> ExitStatus:
    for warning in scan.warnings:
        messages.warning(warning)
    for problem in scan.problems:
        messages.error(problem)
    messages.info(render.examined(scan))
    if scan.problems:
        return ExitStatus.FAILED
    return ExitStatus.FOUND if scan.calls else ExitStatus.LOOK if scan.looks else ExitStatus.OK


def _print(scan: Scan, output_format: str, out: TextIO) -> None:
    match output_format:
        case "json":
            render.as_json(scan, out)
        case "markdown":
            render.markdown(scan, out)
        case "sarif":
            sarif(scan, out, Config().lifecycle.documentation or "")
        case _:
            render.table(scan, out)
    out.flush()
