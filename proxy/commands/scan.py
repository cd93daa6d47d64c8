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
from proxy.scan.fix.fix import diff, fix
from proxy.scan.likely_callers import LikelyCallers
from proxy.scan.sarif import sarif
from proxy.scan.scan import Scan

SUMMARY = "find calls of the withdrawn endpoints in files"
EPILOG = """\
Skips files that git ignores, symbolic links, binary files, and, inside folders,
files over 5 MiB. A comment 'trigger-shim: ignore REASON' in the line of a call,
or alone in the line above, suppresses it.

--diff prints a patch for git apply, with a comment on each finding that it does
not change. --fix makes the changes that are safe, says of each other finding
why it is not changed, and leaves alone what git shows as changed or new.

exit status:
  0  nothing found, or nothing left to do after --fix
  1  a path cannot be read, or the command line is wrong
  2  calls found
  3  no calls, but something to look at

examples:
  trigger-shim scan . --exclude vendor --exclude 'docs/*.md'
  trigger-shim scan . --write-baseline scan-baseline.json
  trigger-shim scan . --baseline scan-baseline.json
  trigger-shim scan . --log callers.jsonl
  trigger-shim scan . --diff > new-calls.patch
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
    changes = parser.add_mutually_exclusive_group()
    add_format(changes, "table", "json", "markdown", "sarif")
    changes.add_argument("--diff", action="store_true", help="print the new calls as a patch, and change nothing")
    changes.add_argument("--fix", action="store_true", help="write the new calls into the files, where that is safe")
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="with --fix, also make changes that you have to look at, such as those of calls whose answer is read",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="with --fix, also change files that git shows as changed or new, or that are in no repository",
    )


def run(options: argparse.Namespace) -> ExitStatus:
    if (options.unsafe or options.force) and not options.fix:
        raise CommandError(ExitStatus.FAILED, "--unsafe and --force only go with --fix")
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
    # All files are changed before anything is printed, as whoever reads may stop early.
    changes = [*fix(scan, unsafe=options.unsafe, force=options.force)] if options.fix else []
    try:
        if options.diff:
            diff(scan, sys.stdout.buffer)
        elif options.fix:
            print("".join(f"{line}\n" for line in changes), end="", flush=True)
        else:
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
