"""Shows what each brownout has brought about."""

import argparse
import sys

from proxy.callers.log.files import NoLog
from proxy.callers.render import brownouts
from proxy.callers.report.brownout_calls import BrownoutCalls
from proxy.callers.report.brownout_results import brownout_results
from proxy.commands.log_options import add_logs, add_period, read_calls
from proxy.commands.options import add_config, add_format, require_config
from proxy.commands.status import CommandError, ExitStatus

SUMMARY = "show whom each past brownout hit, and what they have done since"
EPILOG = """\
examples:
  trigger-shim brownouts
  trigger-shim brownouts --since 30d --format markdown"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_logs(parser)
    add_period(parser)
    add_format(parser, "table", "json", "markdown")


def run(options: argparse.Namespace) -> ExitStatus:
    config, calls = require_config(options), BrownoutCalls()
    try:
        analysis = read_calls(
            config, options.files, options.ledger, since=options.since, until=options.until, brownouts=calls
        )
    except NoLog as problem:
        raise CommandError(ExitStatus.USAGE, str(problem)) from None
    found = brownout_results(config.lifecycle, calls, analysis.report, analysis.subjects)
    match options.format:
        case "table":
            brownouts.show_results(found, sys.stdout)
        case "json":
            print(brownouts.results_to_json(found))
        case "markdown":
            print(brownouts.results_to_markdown(found), end="")
    return ExitStatus.OK
