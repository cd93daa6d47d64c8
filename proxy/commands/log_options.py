"""The options of the commands that read the caller log, and the reading itself."""

import argparse
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from proxy.callers.log.files import log_files, size_on_disk
from proxy.callers.report.aggregator import Dimension
from proxy.callers.report.analysis import Analysis, analyze
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config, values
from proxy.output import terminal
from proxy.output.formatting import printable

Time = datetime | timedelta
"""The value of an option that takes a time: a date, or how long ago."""


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Add the log files to read."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="LOG",
        help="log file, may be .gz; - is standard input (default: callers.log and its rotated files)",
    )


def add_period(parser: argparse.ArgumentParser) -> None:
    """Add ``--since`` and ``--until``."""
    parser.add_argument(
        "--since", type=_time, metavar="TIME", help="start of the period: a date, a date-time, or 30d for 30 days ago"
    )
    parser.add_argument("--until", type=_time, metavar="TIME", help="end of the period (default: now)")


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def to_datetime(time: Time | None, now: datetime) -> datetime | None:
    """Return the time that an option stands for."""
    return now - time if isinstance(time, timedelta) else time


def read_logs(
    config: Config,
    files: Sequence[str] = (),
    *,
    by: Dimension = "caller",
    since: Time | None = None,
    until: Time | None = None,
    wants_detail: Callable[[str], bool] = lambda _: False,
) -> Analysis:
    """Read these files, or the configured log, and report on them. The keyword arguments are those of `analyze`.

    Raises:
        NoLog: a file cannot be read, or there is no log.
    """
    paths, current = files or log_files(config.callers.log), now()
    with terminal.progress(size_on_disk(paths)) as progress:
        return analyze(
            paths,
            config.callers.known,
            current,
            by=by,
            since=to_datetime(since, current),
            until=to_datetime(until, current),
            wants_detail=wants_detail,
            progress=progress,
            policy=config.lifecycle,
        )


def unknown_caller(name: str, where: str, names: Iterable[str]) -> CommandError:
    """Return the error for a name that no caller has. It suggests similar names."""
    near = difflib.get_close_matches(name, list(names), 3, 0.4)
    hint = f"did you mean {', '.join(map(printable, near))}?" if near else "'trigger-shim callers' lists them"
    return CommandError(ExitStatus.FAILED, f"{printable(name)}: no such caller {where}; {hint}")


_DURATION = re.compile(r"(\d{1,5})([mhdw])")
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
