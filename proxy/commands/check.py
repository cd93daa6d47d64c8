"""Validates the configuration, and shows what it will do and to whom."""

import argparse

from proxy.callers.log.files import NoLog
from proxy.callers.plan.forecast import forecast, present, subjects
from proxy.callers.plan.upcoming import agenda
from proxy.callers.plan.warnings import cautions
from proxy.commands import log_options
from proxy.commands.options import add_config, add_overrides, require_config
from proxy.commands.status import ExitStatus
from proxy.config import render
from proxy.output.diagnostics import operator
from proxy.output.formatting import printable

SUMMARY = "validate the configuration, and show what it will do and to whom"
EPILOG = """\
Prints the effective configuration, with secrets masked, and the next changes as
comments.

example:
  trigger-shim check --config config.yaml"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_overrides(parser)
    parser.add_argument("--no-log", action="store_true", help="do not read the caller log, which can take a while")


def run(options: argparse.Namespace) -> ExitStatus:
    config = require_config(options)
    print(render(config), end="")
    policy, rules, now = config.lifecycle, config.callers.known, log_options.now()
    surveyed, reason = None, "the log was not read"
    if not options.no_log:
        try:
            surveyed = log_options.read_logs(config)
        except NoLog as problem:
            reason = str(problem).partition(": name")[0]
    found = subjects(surveyed, rules, policy, now)
    is_read = surveyed is not None
    coming = agenda(present(policy, found, now), forecast(policy, found, now), now, None, is_read=is_read)
    for line in (*([] if is_read else [f"{reason}: only the callers in callers.known are listed"]), *coming):
        print(f"# {printable(line)}")
    matched = surveyed.matched if surveyed is not None and surveyed.source.calls else None
    for warning in cautions(policy, rules, found, now, matched):
        operator.warning(warning)
    return ExitStatus.OK
