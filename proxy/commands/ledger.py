"""Looks after the ledger: counts logs in, compares it with logs, and forgets."""

import argparse
import contextlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from proxy.callers.identity import first_match
from proxy.callers.ledger import engines, forget
from proxy.callers.ledger.comparison import Comparison, compare
from proxy.callers.ledger.counts import Key
from proxy.callers.ledger.database import Database, LedgerUnavailable
from proxy.callers.ledger.file_counter import FileCounter
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.schema import KEY
from proxy.callers.log.copies import without_copies
from proxy.callers.log.files import STDIN, STDOUT, NoLog, log_files
from proxy.callers.report.tally import CallKey
from proxy.commands import log_options
from proxy.commands.options import add_config, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config, values
from proxy.output import messages
from proxy.output.formatting import pluralize, printable

SUMMARY = "count old logs into the ledger, check it, or let it forget"
EPILOG = """\
exit status of check:
  0  the ledger has what the logs have
  1  it differs
  3  the ledger or a log cannot be read

examples:
  trigger-shim ledger import old/callers.jsonl-*.gz
  trigger-shim ledger check
  trigger-shim ledger forget --older-than 62d
  trigger-shim ledger forget --caller nightly"""

_MOST_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    counting = actions.add_parser("import", help="count whole log files in, each part once")
    counting.add_argument("logs", nargs="+", metavar="LOG", help="log file, may be compressed")
    checking = actions.add_parser("check", help="compare the ledger with logs")
    checking.add_argument(
        "logs", nargs="*", metavar="LOG", help="log file, may be compressed (default: the files of callers.log)"
    )
    forgetting = actions.add_parser("forget", help="drop addresses and users of old calls, or all calls of a caller")
    what = forgetting.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--older-than", type=_age, metavar="AGE", help="drop addresses and users of calls of this age, such as 62d"
    )
    what.add_argument("--caller", metavar="NAME", help="drop all calls of this caller; the log still has them")
    for action in (counting, checking, forgetting):
        add_config(action)
        log_options.add_ledger(action)


def run(options: argparse.Namespace) -> ExitStatus:
    config = require_config(options)
    address = options.ledger or config.ledger
    if address is None:
        raise CommandError(ExitStatus.USAGE, "there is no ledger: set the key ledger, or use --ledger")
    cannot = ExitStatus.CANNOT_TELL if options.action == "check" else ExitStatus.FAILED
    try:
        with _connected(address, is_readonly=options.action == "check") as database:
            match options.action:
                case "import":
                    return _import(options.logs, database, config)
                case "check":
                    return _check(options.logs, Ledger(database), config)
                case _:
                    return _forget(options, database, config)
    except (LedgerUnavailable, NoLog) as problem:
        raise CommandError(cannot, str(problem)) from None


@contextlib.contextmanager
def _connected(address: str, *, is_readonly: bool) -> Iterator[Database]:
    with contextlib.closing(engines.connect(address, is_readonly=is_readonly)) as database:
        yield database


def _import(logs: list[str], database: Database, config: Config) -> ExitStatus:
    if STDIN in logs:
        raise CommandError(ExitStatus.USAGE, "standard input cannot be told from what was counted before: name a file")
    ledger = Ledger(database)
    ledger.open()
    counter = FileCounter(ledger, log_options.now, messages.warning)
    records = sum(
        counter.count(log.path, grows=_is_current(log.path, config), skip=log.skip)
        for log in without_copies(logs, messages.warning)
    )
    print(f"counted {pluralize(records, 'record')} that the ledger did not have, of {pluralize(len(logs), 'file')}")
    return ExitStatus.OK


def _is_current(path: str, config: Config) -> bool:
    """Whether a proxy may still append to a log."""
    with contextlib.suppress(OSError):
        return config.callers.log != STDOUT and Path(path).samefile(config.callers.log)
    return False


def _check(logs: list[str], ledger: Ledger, config: Config) -> ExitStatus:
    paths = logs or log_files(config.callers.log)
    found = compare(ledger, paths, log_options.now())
    if not found.calls:
        print("there are no calls in the logs")
        return ExitStatus.OK
    for each in found.differences[:_MOST_SHOWN]:
        where = f"{date.fromordinal(each.day)}  {printable(each.caller)}"
        print(f"{where}: {each.in_logs} in the logs, {each.in_ledger} in the ledger")
    if (more := len(found.differences) - _MOST_SHOWN) > 0:
        print(f"and {pluralize(more, 'more difference')}")
    print(_summary(found))
    return ExitStatus.FAILED if found.differences else ExitStatus.OK


def _summary(found: Comparison) -> str:
    days = f"{date.fromordinal(found.first)} to {date.fromordinal(found.last)}"
    text = f"compared {pluralize(found.calls, 'call')} of {days}: {pluralize(len(found.differences), 'difference')}"
    if found.others:
        hosts = ", ".join(map(printable, found.others[:_MOST_SHOWN]))
        text += (
            f"\nThe ledger has calls of other hosts, too ({hosts}): name their logs to find what only the ledger has."
        )
    return text


def _forget(options: argparse.Namespace, database: Database, config: Config) -> ExitStatus:
    if options.caller is None:
        before = (log_options.now() - options.older_than).toordinal()
        days = forget.forget_persons(database, before)
        print(f"dropped addresses and users of {pluralize(days, 'day')} before {date.fromordinal(before)}")
        return ExitStatus.OK
    names: set[str] = set()

    def is_meant(key: Key) -> bool:
        rule = first_match(config.callers.known, CallKey(*key).attributes)
        found = {key[KEY.index("caller")], *([rule.name] if rule is not None else [])}
        names.update(found)
        return options.caller in found

    calls = forget.forget_callers(database, is_meant)
    if options.caller not in names:
        raise log_options.unknown_caller(options.caller, "in the ledger", names)
    print(f"dropped {pluralize(calls, 'call')} of {printable(options.caller)}; the log still has them")
    return ExitStatus.OK


def _age(value: str) -> object:
    try:
        return values.read(values.Period, value)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
