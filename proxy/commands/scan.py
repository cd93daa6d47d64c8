"""Finds calls of the withdrawn endpoints in files."""

import argparse
import io
import sys
from typing import TextIO

from proxy import config
from proxy.commands.status import ExitStatus
from proxy.output import terminal
from proxy.output.diagnostics import operator
from proxy.scan import render
from proxy.scan.walk import Scan

SUMMARY = "find calls of the withdrawn endpoints in files, before they are made"
EPILOG = """\
exit status: 0 nothing was found, 2 something was, 1 it did not work or the command line is wrong

Left out: what git ignores, links, binary files, and in folders files over 5 MiB.

example:
  trigger-shim scan .
  trigger-shim scan --format sarif .gitlab-ci.yml scripts > withdrawn.sarif"""
USAGE_STATUS = ExitStatus.FAILED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `scan`."""
    parser.add_argument("files", nargs="+", metavar="PATH", help="a file, or a folder with all below it")
    parser.add_argument(
        "--format", choices=("table", "json", "markdown", "sarif"), default="table", help="default: %(default)s"
    )


def run(options: argparse.Namespace) -> ExitStatus:
    """Examine files, print what was found, and say what was examined."""
    scan = Scan()
    scan.examine(options.files)
    try:
        _print(scan, options.format, sys.stdout)
    except BrokenPipeError:  # the status is what a gate asks for, however much its reader took
        terminal.stop_printing()
    operator.info(render.examined(scan))
    for problem in scan.problems:
        operator.error(render.readable(problem))
    if scan.problems:
        return ExitStatus.FAILED
    return ExitStatus.FOUND if scan.found else ExitStatus.OK


def _print(scan: Scan, form: str, out: TextIO) -> None:
    if isinstance(out, io.TextIOWrapper):  # its encoding may have no place for what a file holds
        out.reconfigure(errors="backslashreplace")
    match form:
        case "json":
            render.as_json(scan, out)
        case "markdown":
            render.markdown(scan, out)
        case "sarif":
            render.sarif(scan, out, config.Lifecycle().policy.documentation or "")
        case _:
            render.table(scan, out)
    out.flush()
