"""Finds hosts that fell silent: their log ends, and nothing says that they were stopped.

Pure. A process that was killed looks the same as one that still serves, but whose log is lost or was not read. While
another process of the same host writes to the log or is stopped later, the log of that host is there, and so the first
one is gone.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

from proxy.callers.log.lives import Life


class SilentHost(NamedTuple):
    """A host that may still serve calls of which nothing is known.

    Attributes:
        since: time of its last heartbeat or record.
    """

    name: str
    since: datetime


def silent_hosts(lives: Iterable[Life], now: datetime, gone: Sequence[str] = ()) -> list[SilentHost]:
    """The hosts that fell silent, the last one first.

    Args:
        lives: the lives of all processes.
        now: the time of the report.
        gone: globs of hosts that are known to be gone.
    """
    last: dict[str, Life] = {}
    for life in lives:
        other = last.get(life.host)
        if other is None or _end(life) > _end(other):
            last[life.host] = life
    silent = [
        SilentHost(host, life.seen)
        for host, life in last.items()
        if not life.has_stopped and life.due < now and not any(fnmatchcase(host, glob) for glob in gone)
    ]
    return sorted(silent, key=lambda host: (host.since, host.name), reverse=True)


def _end(life: Life) -> tuple[datetime, bool]:
    return life.last_beat, life.has_stopped
