"""Tells everything on one caller."""

import argparse
import sys

from proxy.callers.log.files import NoLog
from proxy.callers.render import card_text as text
from proxy.callers.render import formats
from proxy.callers.render.card import card
from proxy.commands.config_options import add_config, require_config
from proxy.commands.log_options import add_logs, add_period, read_logs, unknown_caller
from proxy.commands.status import CommandError, ExitStatus
from proxy.output import terminal

SUMMARY = "tell everything on one caller, and the new call for each that it makes"
EPILOG = """\
example:
  trigger-shim caller nightly --format markdown"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `caller`."""
    add_config(parser)
    parser.add_argument("name", metavar="NAME", help="as `callers` shows it")
    add_logs(parser)
    add_period(parser)
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")


def run(options: argparse.Namespace) -> ExitStatus:
    """Tell everything on one caller.

    Raises:
        CommandError: there is no log that can be read, or no such caller in it.
    """
    config = require_config(options)
    try:
        surveyed = read_logs(
            config, options.files, since=options.since, until=options.until, is_wanted=options.name.__eq__
        )
    except NoLog as problem:
        raise CommandError(ExitStatus.USAGE, str(problem)) from None
    row = next((row for row in surveyed.report.callers if row.name == options.name), None)
    if row is None:
        raise unknown_caller(options.name, "in the log", [row.name for row in surveyed.report.callers])
    as_of = surveyed.report.now
    found = card(row, surveyed.details[row.name], config.upstream.url)
    match options.format:
        case "text":
            print(text.card_to_text(found, as_of, terminal.blocks(sys.stdout)), end="")
        case "json":
            print(formats.card_to_json(found))
        case "markdown":
            print(text.card_to_markdown(found, as_of), end="")
    return ExitStatus.OK
