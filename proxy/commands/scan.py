"""The command that finds calls of the withdrawn endpoints in files."""

import io
import sys
from collections.abc import Sequence
from typing import TextIO

from proxy import config
from proxy.output import terminal
from proxy.output.diagnostics import operator
from proxy.scan import render
from proxy.scan.walk import Scan

CLEAN, FAILED, FOUND = 0, 1, 2
"""Exit statuses: a gate must tell a call that was found from a wrong command line, so that one is 1."""


def run(paths: Sequence[str], form: str) -> int:
    """Examine files, print what was found, say what was examined, and return the exit status.

    Args:
        paths: of files and folders.
        form: ``table``, ``json``, ``markdown`` or ``sarif``.
    """
    scan = Scan()
    scan.examine(paths)
    try:
        _print(scan, form, sys.stdout)
    except BrokenPipeError:  # the status is what a gate asks for, however much its reader took
        terminal.stop_printing()
    operator.info(render.examined(scan))
    for warning in scan.warnings:
        operator.warning(render.readable(warning))
    for problem in scan.problems:
        operator.error(render.readable(problem))
    return FAILED if scan.problems else FOUND if scan.found else CLEAN


def _print(scan: Scan, form: str, out: TextIO) -> None:
    if isinstance(out, io.TextIOWrapper):  # its encoding may have no place for what a file holds
        out.reconfigure(errors="backslashreplace")
    match form:
        case "json":
            render.as_json(scan, out)
        case "markdown":
            render.markdown(scan, out)
        case "sarif":
            render.sarif(scan, out, config.Config().lifecycle.documentation or "")
        case _:
            render.table(scan, out)
    out.flush()
