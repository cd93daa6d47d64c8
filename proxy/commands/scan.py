"""Finds calls of the withdrawn endpoints in files."""

import argparse
import sys
from typing import TextIO

from proxy import config
from proxy.commands.options import add_format
from proxy.commands.status import ExitStatus
from proxy.output import messages, terminal
from proxy.scan import render
from proxy.scan.walk import Scan

SUMMARY = "find calls of the withdrawn endpoints in files"
EPILOG = """\
Skips files that git ignores, symbolic links, binary files, and, inside folders,
files over 5 MiB.

exit status:
  0  no calls found
  1  a path cannot be read, or the command line is wrong
  2  calls found

examples:
  trigger-shim scan .
  trigger-shim scan --format sarif .gitlab-ci.yml scripts > withdrawn.sarif"""
USAGE_STATUS = ExitStatus.FAILED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="PATH", help="a file, or a folder to search")
    add_format(parser, "table", "json", "markdown", "sarif")


def run(options: argparse.Namespace) -> ExitStatus:
    scan = Scan()
    scan.examine(options.files)
    try:
        _print(scan, options.format, sys.stdout)
    except BrokenPipeError:  # whoever reads only the first lines still needs the status
        terminal.stop_printing()
    messages.info(render.examined(scan))
    for warning in scan.warnings:
        messages.warning(warning)
    for problem in scan.problems:
        messages.error(problem)
    if scan.problems:
        return ExitStatus.FAILED
    return ExitStatus.FOUND if scan.found else ExitStatus.OK


def _print(scan: Scan, output_format: str, out: TextIO) -> None:
    match output_format:
        case "json":
            render.as_json(scan, out)
        case "markdown":
            render.markdown(scan, out)
        case "sarif":
            render.sarif(scan, out, config.Config().lifecycle.documentation or "")
        case _:
            render.table(scan, out)
    out.flush()
