"""Planned short failures: when they happen, and which callers they affect.

Pure: the time is an argument.
"""

import functools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from typing import NamedTuple

from cronsim import CronSim, CronSimError


class Window(NamedTuple):
    """A period; its end is not part of it."""

    begin: datetime
    end: datetime


class Once(NamedTuple):
    """A single window."""

    window: Window

    def at(self, now: datetime) -> Window | None:
        """The window that is open at a time."""
        return self.window if self.window.begin <= now < self.window.end else None

    def after(self, now: datetime) -> Iterator[Window]:
        """The windows that begin after a time, the next one first."""
        if self.window.begin > now:
            yield self.window


class Recurring(NamedTuple):
    """Windows that recur, all of one length.

    Attributes:
        cron: when they begin: five fields, or six with the seconds first.
        zone: the time zone of `cron`. When clocks go forward, a window of the skipped hour begins right after it; when
            they go back, a window of the repeated hour begins once (cron(8)).
    """

    cron: str
    duration: timedelta
    zone: tzinfo

    def at(self, now: datetime) -> Window | None:
        """The window that is open at a time; the latest one if they overlap."""
        begin = _last_begin(self.cron, self.zone, now.replace(microsecond=0))
        window = Window(begin, begin + self.duration) if begin is not None else None
        return window if window is not None and now < window.end else None

    def after(self, now: datetime) -> Iterator[Window]:
        """The windows that begin after a time, the next one first; they never end."""
        for begin in CronSim(self.cron, now.astimezone(self.zone)):
            yield Window(begin.astimezone(UTC), begin.astimezone(UTC) + self.duration)


@functools.lru_cache(256)
def _last_begin(cron: str, zone: tzinfo, second: datetime) -> datetime | None:
    # CronSim excludes the given time, so start a second later.
    begins = CronSim(cron, (second + timedelta(seconds=1)).astimezone(zone), reverse=True)
    begin = next(begins, None)
    return begin.astimezone(UTC) if begin is not None else None


class Brownout(NamedTuple):
    """Windows, and the callers that they affect.

    Attributes:
        callers: globs of names or owners; empty for all callers.
        exempt: globs of names or owners that are not affected.
    """

    windows: Once | Recurring
    callers: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()

    def affects(self, name: str, owner: str | None) -> bool:
        """Whether it affects a caller."""
        known_as = [name] if owner is None else [name, owner]
        return (not self.callers or _any_matches(self.callers, known_as)) and not _any_matches(self.exempt, known_as)


def _any_matches(globs: Iterable[str], texts: list[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs for text in texts)


def cron_problem(cron: str) -> str | None:
    """What is wrong with a cron expression, or None."""
    try:
        begins = CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return str(error).lower()
    return None if next(begins, None) is not None else "no date ever matches it"
