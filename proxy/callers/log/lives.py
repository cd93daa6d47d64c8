"""When which process was writing the log: what heartbeats and records say about each process.

Pure. Heartbeats that follow each other in time are kept as one life, so that a year of them takes no memory. They may
come in any order, but those of a process take the least memory in order of time, forwards or backwards.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Self

from proxy.callers.record import Heartbeat

_GRACE = timedelta(minutes=1)
_TOLERANCE = 1.5
"""A heartbeat may be late by half its interval and `_GRACE`, because the machine may be busy."""

_LONGEST_INTERVAL = timedelta(days=366).total_seconds()


class Life:
    """A time in which a process wrote its heartbeats without a break, all with the same key and policy.

    Attributes:
        first: its first heartbeat.
        last_beat: time of its last heartbeat.
        seen: time of its last heartbeat or record.
        due: the latest time for the next heartbeat.
        has_stopped: whether the last heartbeat says that the process was stopped.
    """

    __slots__ = ("due", "first", "has_stopped", "last_beat", "seen")

    def __init__(self, beat: Heartbeat) -> None:
        self.first = beat
        self._end_with(beat)
        self.seen = beat.ts

    @classmethod
    def restored(cls, first: Heartbeat, last_beat: datetime, seen: datetime, *, has_stopped: bool) -> Self:
        """A life as it was stored: all its heartbeats have the interval of the first."""
        life = cls(first)
        life.last_beat, life.due, life.seen, life.has_stopped = (
            last_beat,
            last_beat + patience(first),
            seen,
            has_stopped,
        )
        return life

    @property
    def begin(self) -> datetime:
        """Time of its first heartbeat."""
        return self.first.ts

    @property
    def host(self) -> str:
        """The machine or container that the process ran on."""
        return self.first.instance.rpartition(":")[0] or self.first.instance

    def takes(self, beat: Heartbeat) -> bool:
        """Add a heartbeat of the same process if it belongs to this life, as the next one or the one before."""
        first = self.first
        if (beat.interval, beat.key, beat.policy) != (first.interval, first.key, first.policy):
            return False
        if self.last_beat < beat.ts <= self.due and not (beat.lost or beat.at == "start" or self.has_stopped):
            self._end_with(beat)
            self.seen = max(self.seen, beat.ts)
            return True
        if beat.ts < first.ts <= deadline(beat) and not (first.lost or first.at == "start" or beat.at == "stop"):
            self.first = beat
            return True
        return False

    def _end_with(self, beat: Heartbeat) -> None:
        self.last_beat, self.due, self.has_stopped = beat.ts, deadline(beat), beat.at == "stop"


class Lives:
    """The lives of all processes that wrote a log.

    Args:
        most: how many lives are kept.
        heartbeats: the first heartbeats.

    Attributes:
        latest: the life of each process that was last added to; `Life.seen` may be moved up to `Life.due`.
        beats: number of heartbeats.
        dropped: number of heartbeats beyond the limit.
    """

    def __init__(self, heartbeats: Iterable[Heartbeat] = (), most: int = 100_000) -> None:
        self.latest: dict[str, Life] = {}
        self.beats = self.dropped = 0
        self._most = most
        self._lives: dict[str, list[Life]] = {}
        self._number = 0
        self._moments: dict[str | None, datetime] = {}
        for beat in heartbeats:
            self.add(beat)

    def add(self, beat: Heartbeat) -> None:
        """Add a heartbeat, in UTC."""
        latest = self.latest.get(beat.instance)
        if latest is None or not latest.takes(beat):
            if self._number >= self._most:
                self.dropped += 1
                return
            self._number += 1
            self.latest[beat.instance] = life = Life(beat)
            self._lives.setdefault(beat.instance, []).append(life)
        self.beats += 1

    def restore(self, life: Life) -> None:
        """Add a life that was stored."""
        self._lives.setdefault(life.first.instance, []).append(life)
        self._number += 1

    def saw(self, instance: str | None, moment: datetime) -> None:
        """Add a record that is later than the latest life of its process, if that has one: heartbeats may follow.

        Args:
            instance: the process; None if the record does not say.
            moment: time of the record.
        """
        if instance in self._moments or (instance is not None and len(self._moments) < self._most):
            self._moments[instance] = max(self._moments.get(instance, moment), moment)

    def by_process(self) -> Iterator[Sequence[Life]]:
        """The lives of each process in order of time."""
        for instance, lives in self._lives.items():
            lives.sort(key=lambda life: life.begin)
            moment = self._moments.get(instance)
            for life in lives:
                if moment is not None and life.seen < moment <= life.due:
                    life.seen = moment
            yield lives

    def __iter__(self) -> Iterator[Life]:
        """All lives, in no order."""
        for lives in self._lives.values():
            yield from lives


def is_valid(beat: Heartbeat) -> bool:
    """Whether a heartbeat has an interval that the configuration allows, and a number of lost records."""
    return 0 <= beat.interval <= _LONGEST_INTERVAL and beat.lost >= 0


def deadline(beat: Heartbeat) -> datetime:
    """The latest time for the next heartbeat."""
    return beat.ts + patience(beat)


def patience(beat: Heartbeat) -> timedelta:
    """How long it may take until the next heartbeat."""
    return timedelta(seconds=beat.interval * _TOLERANCE) + _GRACE


def key_ids(lives: Iterable[Life], before: datetime | None = None) -> set[str]:
    """The ids of the fingerprint keys (`key_id`) with which a log was written, as far as its heartbeats say so.

    Args:
        lives: the lives of the processes that wrote it.
        before: look only at those from before this time; None for all.
    """
    return {life.first.key for life in lives if life.first.key is not None and (before is None or life.begin < before)}
