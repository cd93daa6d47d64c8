"""The jobs of a caller: what it calls, and on which days. One token may run a nightly job and a monthly one."""

import functools
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from proxy.callers.report.budget import Budget
from proxy.callers.report.rhythm import FIRST_DAY, Rhythm, mixed_rhythm, rhythm_of

MOST_JOBS = 1000
"""How many jobs of one caller are told apart."""


class JobName(NamedTuple):
    """What tells jobs apart.

    Attributes:
        repository: ``org/repo`` or ``id:…``.
        workflow: None if the endpoint has none.
    """

    endpoint: str
    repository: str
    workflow: str | None

    def __str__(self) -> str:
        """The job in a few words."""
        return f"{self.endpoint}{f' of {self.workflow}' if self.workflow else ''} in {self.repository}"


class Job:
    """The calls of one job, in any order.

    Attributes:
        last_seen: time of the last call.
    """

    __slots__ = ("_bits", "_first", "last_seen")

    def __init__(self, last_seen: datetime) -> None:
        self.last_seen = last_seen
        # Counted from the first day with a call: from `FIRST_DAY` on, it would be thousands of bits for each job.
        self._first = self._bits = 0

    @property
    def days(self) -> int:
        """The days with calls, as bits (`rhythm`)."""
        return self._bits << self._first

    def add(self, days: Iterable[int], last: datetime) -> None:
        """Count calls on these days, which are ordinals."""
        self._set(functools.reduce(int.__or__, (1 << day - FIRST_DAY for day in days), self.days))
        self.last_seen = max(self.last_seen, last)

    def merge(self, other: "Job") -> None:
        """Add the calls of another one."""
        self._set(self.days | other.days)
        self.last_seen = max(self.last_seen, other.last_seen)

    def _set(self, days: int) -> None:
        self._first = max((days & -days).bit_length() - 1, 0)
        self._bits = days >> self._first


class Jobs:
    """The jobs of one caller. Those beyond a limit are not told apart, which never retires them earlier.

    Args:
        room: what is left for the names of all jobs.

    Attributes:
        named: the jobs by name.
        rest: the jobs beyond the limit, if there are any.
    """

    def __init__(self, room: Budget) -> None:
        self.named: dict[JobName, Job] = {}
        self.rest: Job | None = None
        self._room = room

    def add(self, name: JobName | None, days: Iterable[int], last: datetime) -> None:
        """Count calls of a job; None if it is not to be told apart from others.

        Args:
            name: the job.
            days: ordinals of the days with calls.
            last: time of the last call.
        """
        self._job(name, last).add(days, last)

    def merge(self, other: "Jobs") -> None:
        """Add the jobs of another one."""
        for name, job in other.named.items():
            self._job(name, job.last_seen).merge(job)
        if other.rest is not None:
            self._job(None, other.rest.last_seen).merge(other.rest)

    def rhythms(self) -> Iterator[tuple[JobName | None, Job, Rhythm]]:
        """Each job with its name and its rhythm; those that are not told apart last, as one job without a name."""
        for name, job in self.named.items():
            yield name, job, rhythm_of(job.days)
        if self.rest is not None:
            yield None, self.rest, mixed_rhythm(self.rest.days)

    def _job(self, name: JobName | None, last: datetime) -> Job:
        job = self.named.get(name) if name is not None else self.rest
        if job is not None:
            return job
        job = Job(last)
        if name is not None and len(self.named) < MOST_JOBS and self._room.take(sum(map(len, filter(None, name)))):
            self.named[name] = job
            return job
        if self.rest is None:
            self.rest = job
        return self.rest
