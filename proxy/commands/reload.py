"""Has the running proxy read its configuration again, and says what became of it."""

import argparse
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from proxy import run_file
from proxy.commands.options import add_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import sources
from proxy.output import messages
from proxy.run_file import Run

SUMMARY = "have the running proxy read its configuration again"
EPILOG = """\
exit status:
  0  the configuration is in force
  1  no proxy runs with this file, or it does not answer
  2  the configuration cannot be used; that in force stays

example:
  trigger-shim reload --config /etc/trigger-shim/config.yaml"""

PATIENCE = 30.0
"""Seconds to wait for the proxy."""

_POLL = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run(options: argparse.Namespace) -> ExitStatus:
    file = options.config or (sources.DEFAULT_FILE if Path(sources.DEFAULT_FILE).exists() else None)
    if file is None:
        raise CommandError(ExitStatus.USAGE, "there is no config.yaml here: name the file of the proxy with --config")
    before = run_file.runs(file)
    if not before:
        raise CommandError(
            ExitStatus.FAILED, f"no proxy of this user runs with {file}: name the file that it was started with"
        )
    for each in before:
        os.kill(each.pid, signal.SIGHUP)
    after = [_next(file, each, time.monotonic) for each in before]
    if problems := sorted({problem for each in after for problem in each.problems}):
        raise CommandError(ExitStatus.USAGE, *problems)
    if keys := sorted({key for each in after for key in each.restart_needed}):
        messages.warning(f"these changed, and take effect at the next start: {', '.join(keys)}")
    pids = ", ".join(str(each.pid) for each in after)
    print(f"{file} is in force in process {pids}")
    return ExitStatus.OK


def _next(file: str, before: Run, clock: Callable[[], float]) -> Run:
    """What a proxy says after its next reload."""
    deadline = clock() + PATIENCE
    while clock() < deadline:
        now = {each.pid: each for each in run_file.runs(file)}.get(before.pid)
        if now is None:
            raise CommandError(ExitStatus.FAILED, f"the proxy {before.pid} has ended")
        if now.reloads > before.reloads:
            return now
        time.sleep(_POLL)
    raise CommandError(ExitStatus.FAILED, f"the proxy {before.pid} has not answered within {PATIENCE:g} s")
