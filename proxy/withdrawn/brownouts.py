"""Planned short failures: when they happen, and which callers they affect.

Pure: the time is an argument.
"""

import functools
from bisect import insort
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from itertools import groupby, islice
from typing import NamedTuple

from cronsim import CronSim, CronSimError

_SECOND, _MINUTE, _DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


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

    Where clocks change, a window in the skipped hour begins right after it, and one in the repeated hour begins once,
    as with cron(8). If `cron` is for every hour, a window begins whenever the clocks show its minute: not in the
    skipped hour, and twice in the repeated one.

    Attributes:
        cron: when they begin: five fields, or six with the seconds first.
        zone: the time zone of `cron`.
    """

    cron: str
    duration: timedelta
    zone: tzinfo

    def at(self, now: datetime) -> Window | None:
        """The window that is open at a time; the latest one if they overlap."""
        begin = _last_begin(self.cron, self.zone, now.astimezone(UTC).replace(microsecond=0))
        window = Window(begin, begin + self.duration) if begin is not None else None
        return window if window is not None and now < window.end else None

    def after(self, now: datetime) -> Iterator[Window]:
        """The windows that begin after a time, the next one first; they never end."""
        begins = (begin for begin in _begins(self.cron, self.zone, now.astimezone(UTC)) if begin > now)
        for begin, _ in groupby(begins):
            yield Window(begin, begin + self.duration)


@functools.lru_cache(256)
def _last_begin(cron: str, zone: tzinfo, second: datetime) -> datetime | None:
    return next((begin for begin in _begins(cron, zone, second, backwards=True) if begin <= second), None)


def _begins(cron: str, zone: tzinfo, near: datetime, *, backwards: bool = False) -> Iterator[datetime]:
    """When windows begin, from before a time on, in order; or backwards, from after it on. Some can be repeated."""
    # CronSim only compares local times with the expression. It knows clock changes as well, but not with seconds, and
    # not those of half an hour, and it goes wrong if it starts in the repeated hour.
    local_times = [(near + step).astimezone(zone).replace(tzinfo=None) - step for step in (-_DAY, timedelta(0), _DAY)]
    start = max(local_times) + _SECOND if backwards else min(local_times)  # it leaves out the time that it starts at
    waiting: list[datetime] = []
    for local in CronSim(cron, start, reverse=backwards):
        begins = _moments(local, zone, is_hourly=_is_hourly(cron))
        for begin in begins:
            insort(waiting, begin)
        # What begins at a later local time can come before some of these, but not before the first of them.
        while begins and waiting and (waiting[-1] >= begins[-1] if backwards else waiting[0] <= begins[0]):
            yield waiting.pop(-1 if backwards else 0)


@functools.lru_cache(256)
def _is_hourly(cron: str) -> bool:
    """Whether it is for every hour of a day."""
    *_, hours, _day, _month, _weekday = cron.split()
    begins = islice(CronSim(f"0 {hours} * * *", datetime(2024, 1, 1, tzinfo=UTC)), 24)
    return len({begin.hour for begin in begins}) == 24


def _moments(local: datetime, zone: tzinfo, *, is_hourly: bool) -> list[datetime]:
    """The moments, in UTC, at which a window for a local time begins."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return [first] if first == second or not is_hourly else [first, second]
    if is_hourly:
        return []
    while first.astimezone(zone).replace(tzinfo=None) != local:
        local = local.replace(second=0) + _MINUTE
        first = local.replace(tzinfo=zone).astimezone(UTC)
    return [first]


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
