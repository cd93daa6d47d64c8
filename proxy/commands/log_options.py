"""The options of the commands that read the ledger or the caller log, and the reading itself."""

import argparse
import contextlib
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from proxy.callers.ledger import engines
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.files import STDOUT, NoLog, log_files, may_exist, size_on_disk
from proxy.callers.report.aggregator import Dimension
from proxy.callers.report.analysis import Analysis, Logs, Source, StoredLogs, analyze
from proxy.callers.report.brownout_calls import BrownoutCalls
from proxy.callers.report.cuts import WEEK
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config, values
from proxy.output import terminal
from proxy.output.formatting import printable

Time = datetime | timedelta
"""The value of an option that takes a time: a date, or how long ago."""


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Add what to read: a ledger or log files."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="LOG",
        help="log file, may be compressed; - is standard input (default: the ledger, or without one the files of"
        " callers.log)",
    )
    add_ledger(parser)


def add_ledger(parser: argparse._ActionsContainer) -> None:
    """Add ``--ledger``."""
    parser.add_argument(
        "--ledger",
        type=_ledger,
        metavar="ADDRESS",
        help="address of the ledger: a path, or postgresql://… (default: the configured one)",
    )


def add_period(parser: argparse.ArgumentParser) -> None:
    """Add ``--since`` and ``--until``."""
    parser.add_argument(
        "--since", type=_time, metavar="TIME", help="start of the period: a date, a date-time, or 30d for 30 days ago"
    )
    parser.add_argument("--until", type=_time, metavar="TIME", help="end of the period (default: now)")


def add_expected(parser: argparse.ArgumentParser) -> None:
    """Add ``--expect``."""
    parser.add_argument(
        "--expect",
        type=_expected,
        action="append",
        default=[],
        metavar="NAME=DURATION",
        help="the caller NAME has a job that runs once in DURATION, such as 92d, so the verdict waits for it;"
        " can be repeated",
    )


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def to_datetime(time: Time | None, now: datetime) -> datetime | None:
    """Return the time that an option stands for."""
    return now - time if isinstance(time, timedelta) else time


def read_calls(
    config: Config,
    files: Sequence[str] = (),
    ledger: str | None = None,
    *,
    by: Dimension = "caller",
    since: Time | None = None,
    until: Time | None = None,
    wants_detail: Callable[[str], bool] = lambda _: False,
    expected: Mapping[str, timedelta] | None = None,
    compare: timedelta = WEEK,
    brownouts: BrownoutCalls | None = None,
) -> Analysis:
    """Report on the calls in these files, or else in this ledger. The keyword arguments are those of `analyze`.

    Raises:
        NoLog: a file or the ledger cannot be read, or there is no log.
    """
    current = now()
    with _source(config, files, ledger) as source:
        return analyze(
            source,
            config.callers.known,
            current,
            by=by,
            since=_full_hour(to_datetime(since, current)),
            until=_full_hour(to_datetime(until, current)),
            wants_detail=wants_detail,
            policy=config.lifecycle,
            expected=expected,
            gone=config.callers.gone,
            compare=compare,
            brownouts=brownouts,
        )


def ledger_address(config: Config, files: Sequence[str], named: str | None) -> str | None:
    """The address of the ledger that is read; None if logs are read.

    Args:
        config: the whole configuration.
        files: log files that were named.
        named: the value of ``--ledger``.
    """
    if files and named is not None:
        raise CommandError(ExitStatus.USAGE, "name log files or --ledger, not both")
    configured = None if files else config.ledger
    if named is None and configured is not None and ("://" in configured or may_exist(configured)):
        return configured
    return named


@contextlib.contextmanager
def _source(config: Config, files: Sequence[str], named: str | None) -> Iterator[Source]:
    address = ledger_address(config, files, named)
    if address is not None:
        try:
            ledger = Ledger(engines.connect(address, is_readonly=True))
            with contextlib.closing(ledger):
                yield StoredLogs(ledger)
        except LedgerUnavailable as problem:
            raise NoLog(str(problem)) from None
        return
    paths = files or _log_files(config)
    with terminal.progress(size_on_disk(paths)) as progress:
        yield Logs(paths, progress)


def _log_files(config: Config) -> list[str]:
    try:
        return log_files(config.callers.log)
    except NoLog as problem:
        if config.callers.log == STDOUT and config.ledger is not None:
            raise NoLog(f"{config.ledger}: there is no ledger yet, and {problem}") from None
        raise


def _full_hour(moment: datetime | None) -> datetime | None:
    """The begin of an hour, since the ledger counts by the hour."""
    return moment.replace(minute=0, second=0, microsecond=0) if moment is not None else None


def unknown_caller(name: str, where: str, names: Iterable[str], what: str = "caller") -> CommandError:
    """Return the error for a name that no caller has, or no `what`. It suggests similar names."""
    near = difflib.get_close_matches(name, list(names), 3, 0.4)
    hint = f"did you mean {', '.join(map(printable, near))}?" if near else "'trigger-shim callers' lists them"
    return CommandError(ExitStatus.FAILED, f"{printable(name)}: no such {what} {where}; {hint}")


_DURATION = re.compile(r"(\d{1,5})([mhdw])")
_LONGEST_PERIOD = timedelta(days=3660)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(value: str) -> timedelta:
    """Parse a duration such as ``14d``.

    Raises:
        argparse.ArgumentTypeError: it is not a duration.
    """
    found = _DURATION.fullmatch(value)
    if found is None:
        raise argparse.ArgumentTypeError(f"{value!r} is not a duration; write 14d, 12h or 2w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _expected(value: str) -> tuple[str, timedelta]:
    name, _, period = value.rpartition("=")
    found = _DURATION.fullmatch(period)
    if not name or found is None or not timedelta() < duration(period) <= _LONGEST_PERIOD:
        raise argparse.ArgumentTypeError(f"{value!r} is not a caller and a period; write month-end=31d, of up to 3660d")
    return name, duration(period)


def _ledger(value: str) -> str:
    try:
        return str(values.read(values.LedgerAddress, value))
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def _time(value: str) -> Time:
    if _DURATION.fullmatch(value):
        return duration(value)
    try:
        moment: datetime = values.read(values.Moment, value)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{problem}, or 30d") from None
    if not _FIRST <= moment < _LAST:
        raise argparse.ArgumentTypeError(f"{value!r} is out of range; write a date between {_FIRST:%Y} and {_LAST:%Y}")
    return moment


_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Times that every time zone and calendar can represent."""


def future_time(value: str) -> Time:
    """Parse a time that may be in the future: like ``--since``, or ``+2h`` for two hours from now.

    Raises:
        argparse.ArgumentTypeError: it is not a time, or out of range.
    """
    return -duration(value[1:]) if value.startswith("+") else _time(value)
