"""Shows everything about one caller."""

import argparse
import sys

from proxy.callers.log.files import NoLog
from proxy.callers.render import formats
from proxy.callers.render import profile_text as text
from proxy.callers.render.profile import make_profile
from proxy.commands.log_options import add_logs, add_period, read_calls, unknown_caller
from proxy.commands.options import add_config, add_format, require_config
from proxy.commands.sources import places
from proxy.commands.status import CommandError, ExitStatus
from proxy.output import terminal

SUMMARY = "show everything about one caller, and how to replace its calls"
EPILOG = """\
examples:
  trigger-shim caller nightly --format markdown
  trigger-shim caller nightly --source ~/src"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("name", metavar="NAME", help="name of the caller, as `trigger-shim callers` shows it")
    add_logs(parser)
    add_period(parser)
    parser.add_argument(
        "--source",
        action="append",
        metavar="PATH",
        help="show where in this file or folder the calls are likely to be; can be repeated",
    )
    add_format(parser, "text", "json", "markdown")


def run(options: argparse.Namespace) -> ExitStatus:
    config = require_config(options)
    try:
        analysis = read_calls(
            config,
            options.files,
            options.ledger,
            since=options.since,
            until=options.until,
            wants_detail=options.name.__eq__,
        )
    except NoLog as problem:
        raise CommandError(ExitStatus.USAGE, str(problem)) from None
    row = next((row for row in analysis.report.rows if row.name == options.name), None)
    if row is None:
        raise unknown_caller(options.name, "in the log", [row.name for row in analysis.report.rows])
    as_of = analysis.report.now
    found = make_profile(row, analysis.detail_of(row.name), config.successor_url)
    if options.source:
        found = found._replace(places=places(row.name, analysis, options.source))
    match options.format:
        case "text":
            print(text.profile_to_text(found, as_of, terminal.blocks(sys.stdout)), end="")
        case "json":
            print(formats.profile_to_json(found))
        case "markdown":
            print(text.profile_to_markdown(found, as_of), end="")
    return ExitStatus.OK
