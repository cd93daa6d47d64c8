"""The options of the commands that read the caller log, and how they read it."""

import argparse
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from proxy.callers.log.files import logs, size
from proxy.callers.report.survey import Survey, survey
from proxy.callers.report.tally import Dimension
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config
from proxy.config.values import READERS, Moment
from proxy.output import terminal
from proxy.output.formatting import printable

Time = datetime | timedelta
"""A time as an option gives it: a length counts back from now."""


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Add the files to be read."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="LOG",
        help="files, .gz too, or - for standard input; default: callers.log and its rotated siblings",
    )


def add_period(parser: argparse.ArgumentParser) -> None:
    """Add the options that bound the period."""
    parser.add_argument("--since", type=_time, metavar="TIME", help="30d for 30 days ago, a date, or a date-time")
    parser.add_argument("--until", type=_time, metavar="TIME", help="the same; default: now")


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def to_datetime(time: Time | None, now: datetime) -> datetime | None:
    """The time that an option gives."""
    return now - time if isinstance(time, timedelta) else time


def read_logs(
    config: Config,
    files: Sequence[str] = (),
    *,
    by: Dimension = "caller",
    since: Time | None = None,
    until: Time | None = None,
    is_wanted: Callable[[str], bool] = lambda _: False,
) -> Survey:
    """Read these logs, or where there are none the configured one; the rest is as `survey` has it.

    Raises:
        NoLog: one cannot be read, or there is none.
    """
    paths, current = files or logs(config.callers.log), now()
    with terminal.progress(size(paths)) as progress:
        return survey(
            paths,
            [known.rule for known in config.callers.known],
            current,
            by=by,
            since=to_datetime(since, current),
            until=to_datetime(until, current),
            is_wanted=is_wanted,
            progress=progress,
            policy=config.lifecycle.policy,
        )


def unknown_caller(name: str, where: str, names: Iterable[str]) -> CommandError:
    """The error for a name that no caller has, with the nearest ones."""
    near = difflib.get_close_matches(name, list(names), 3, 0.4)
    meant = f"did you mean {', '.join(map(printable, near))}?" if near else "'trigger-shim callers' lists them"
    return CommandError(ExitStatus.FAILED, f"{printable(name)}: no such caller {where}; {meant}")


_DURATION = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(value: str) -> timedelta:
    """Read a length of time, such as ``14d``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    found = _DURATION.fullmatch(value)
    if found is None:
        raise argparse.ArgumentTypeError(f"{value!r} is no length of time; write 14d, 12h or 2w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _time(value: str) -> Time:
    if _DURATION.fullmatch(value):
        return duration(value)
    try:
        moment: datetime = READERS[Moment](value)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{problem}, or 30d") from None
    return moment


_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Between them, every time zone and calendar works."""


def future_time(value: str) -> Time:
    """Read a time as the other options do, or ``+2h`` for in two hours.

    Raises:
        argparse.ArgumentTypeError: it is neither, or too far away.
    """
    time = -duration(value[1:]) if value.startswith("+") else _time(value)
    if isinstance(time, datetime) and not _FIRST <= time < _LAST:
        raise argparse.ArgumentTypeError(f"{value!r} is too far away; write a date of {_FIRST:%Y} to {_LAST:%Y}")
    return time
