"""Validates the configuration, and shows what it will do and to whom."""

import argparse
from pathlib import Path

from proxy.callers.log.files import NoLog
from proxy.callers.plan.forecast import caller_statuses, current_phase, forecast
from proxy.callers.plan.upcoming import upcoming_lines
from proxy.callers.plan.warnings import policy_warnings
from proxy.commands import log_options
from proxy.commands.options import add_config, add_overrides, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import render, sources
from proxy.output import messages
from proxy.output.formatting import printable

SUMMARY = "validate the configuration, and show what it will do and to whom"
EPILOG = """\
Prints the effective configuration, with secrets masked, and the next changes as
comments. Tries the certificate and the addresses, and whether this user can
write the log and reach the ledger.

exit status:
  0  the configuration can be used
  2  it cannot, or a start on this machine would fail

example:
  trigger-shim check --config config.yaml"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_overrides(parser)
    log_options.add_ledger(parser)
    parser.add_argument("--no-log", action="store_true", help="do not read the ledger or the caller log")


def run(options: argparse.Namespace) -> ExitStatus:
    # Imported here so that `trigger-shim --help` does not import a server.
    from proxy.gateway.processes import trial  # noqa: PLC0415

    config = require_config(options)
    if problems := list(trial.problems(config)):
        raise CommandError(ExitStatus.USAGE, *problems)
    print(render(config), end="")
    policy, rules, now = config.lifecycle, config.callers.known, log_options.now()
    analysis, reason = None, "the log was not read"
    if not options.no_log:
        try:
            analysis = log_options.read_calls(config, ledger=options.ledger)
        except NoLog as problem:
            reason = str(problem).partition(": name")[0]
    found = caller_statuses(analysis, rules, policy, now)
    has_log = analysis is not None
    coming = upcoming_lines(current_phase(policy, found, now), forecast(policy, found, now), now, None, has_log=has_log)
    for line in (*([] if has_log else [f"{reason}: only the callers in callers.known are listed"]), *coming):
        print(f"# {printable(line)}")
    matched = analysis.matched_rules if analysis is not None and analysis.read.calls else None
    for warning in policy_warnings(policy, rules, found, now, matched):
        messages.warning(warning)
    for warning in trial.warnings(config):
        messages.warning(warning)
    print(f"# {_source(options)}")
    return ExitStatus.OK


def _source(options: argparse.Namespace) -> str:
    """Which file was read."""
    if options.config is None and not Path(sources.DEFAULT_FILE).exists():
        return "no file was read: there is no config.yaml here, and --config names none"
    return f"{options.config or sources.DEFAULT_FILE} can be used"
