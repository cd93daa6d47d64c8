"""Made-up populations of callers over three years: what they call when, and what a log keeps of it."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple

from proxy.callers.log.lives import Lives
from proxy.callers.record import SCHEMA, Heartbeat
from proxy.callers.report.coverage import Coverage, Span, measure_coverage

DAY = timedelta(days=1)
BEGIN = date(2025, 1, 1)
DAYS = 3 * 365
"""Two years of log, and one in which callers may still call."""

PERIODS = {
    "hourly": 1,
    "nightly": 1,
    "weekdays": 3,
    "weekly": 7,
    "fortnightly": 14,
    "monthly": 31,
    "first Monday": 35,
    "last working day": 35,
    "quarterly": 92,
    "yearly": 366,
    "releases": None,
}
"""The longest days between two runs of each rhythm, without holidays; None if there is no longest."""

RAREST = {
    "weekly": ("hourly", "nightly", "weekdays", "weekly"),
    "fortnightly": ("fortnightly",),
    "monthly": ("monthly", "first Monday", "last working day"),
    "releases": ("releases",),
    "quarterly": ("quarterly",),
    "yearly": ("yearly",),
}
"""What populations are told apart by: their rarest rhythm, in order."""

FORGOTTEN = 0.2
"""In so many populations nobody remembers the rarest job, which calls on when all others have moved."""

_COMMON = ("hourly", "nightly", "nightly", "weekdays", "weekdays", "weekly")


class Run(NamedTuple):
    """The calls of a job on one day.

    Attributes:
        day: days since `BEGIN`.
        hours: hours of the day with calls.
        token: number of the token that the caller had then.
        is_logged: whether the log has them.
    """

    day: int
    hours: tuple[int, ...]
    token: int
    is_logged: bool


class Job(NamedTuple):
    """A job, with its runs in order of time."""

    caller: int
    workflow: str
    rhythm: str
    runs: list[Run]


class Population(NamedTuple):
    """Callers, and what the log covers.

    Attributes:
        down: days on which no log was kept.
    """

    jobs: list[Job]
    coverage: Coverage
    down: frozenset[int]

    @property
    def last_call(self) -> int:
        """The last day on which anybody calls."""
        return max(job.runs[-1].day for job in self.jobs)


def population(rarest: str, chance: random.Random, *, is_forgotten: bool | None = None) -> Population:
    """A population.

    Args:
        rarest: its rarest rhythm, a key of `RAREST`.
        chance: decides everything else.
        is_forgotten: whether all have moved in the first year but the rarest job, which never does; None for a chance
            of `FORGOTTEN` that it never does.
    """
    holidays = _holidays(chance)
    gaps = [range(day, day + chance.randint(1, 5)) for day in range(2 * DAYS) if chance.random() < 1 / 400]
    down = frozenset(day for gap in gaps for day in gap)
    lost = _lost_with_a_replica(chance)
    frequent = [names for name, names in RAREST.items() if list(RAREST).index(name) < list(RAREST).index(rarest)]
    campaign = (chance.randint(250, 500), chance.randint(510, 800)) if not is_forgotten else (100, 365)
    jobs: list[Job] = []
    for caller in range(chance.randint(3, 10)):
        rotations = sorted(chance.sample(range(DAYS), 4)) if chance.random() < 0.3 else []
        moves_at = chance.randint(*campaign)
        for number in range(chance.randint(1, 3)):
            is_rarest = caller == number == 0
            rhythms = RAREST[rarest] if is_rarest else chance.choice([_COMMON, _COMMON, *frequent])
            rhythm = chance.choice(rhythms)
            # Nobody remembers the rarest job so well as the others, which may move one by one.
            stays = chance.random() < (FORGOTTEN if is_rarest else 0.01) if is_forgotten is None else is_rarest
            end = DAYS if stays else moves_at if chance.random() < 0.7 else chance.randint(*campaign)
            begin = 0 if chance.random() < 0.7 else chance.randint(0, min(end - 20, campaign[0] + 100))
            days = sorted({day for day in _days(rhythm, holidays, chance) if begin <= day < end})
            runs = [_run(day, rhythm, rotations, down, lost, chance) for day in days]
            if runs:
                jobs.append(Job(caller, f"job-{number}", rhythm, runs))
    return Population(jobs, _coverage(down), down) if jobs else population(rarest, chance, is_forgotten=is_forgotten)


def _run(day: int, rhythm: str, rotations: list[int], down: frozenset[int], lost: range, chance: random.Random) -> Run:
    hour = chance.randint(0, 20)
    if rhythm == "hourly":
        hours = tuple(range(24))
    elif chance.random() < 0.05:  # it fails and is repeated
        hours = tuple(range(hour, hour + chance.randint(2, 4)))
    else:
        hours = (hour,)
    is_lost = day in down or (day in lost and chance.random() < 0.5)
    return Run(day, hours, sum(rotation <= day for rotation in rotations), not is_lost)


def _days(rhythm: str, holidays: list[range], chance: random.Random) -> Iterator[int]:
    """The days on which a job runs, in three years."""
    rests = rhythm in {"weekdays", "releases"} or chance.random() < 0.3
    for day in _planned(rhythm, chance):
        if rests and (holiday := next((span for span in holidays if day in span), None)) is not None:
            if rhythm in {"quarterly", "yearly"}:
                yield holiday.stop + chance.randint(0, 4)  # too rare to be skipped
        elif chance.random() < 0.02:  # the runner is down
            if (PERIODS[rhythm] or 0) > 14:
                yield day + chance.randint(1, 3)
        else:
            yield day


def _planned(rhythm: str, chance: random.Random) -> Iterator[int]:
    if rhythm == "releases":
        yield from _at_random(chance.choice((7, 14, 30)), chance)
        return
    weekday, of_month, month, phase = (chance.randint(*ends) for ends in ((0, 4), (1, 28), (1, 12), (0, 1)))
    is_planned: dict[str, Callable[[date], bool]] = {
        "hourly": lambda _: True,
        "nightly": lambda _: True,
        "weekdays": lambda day: day.weekday() < 5,
        "weekly": lambda day: day.weekday() == weekday,
        "fortnightly": lambda day: day.toordinal() % 14 == weekday + 7 * phase,
        "monthly": lambda day: day.day == of_month,
        "first Monday": lambda day: day.weekday() == 0 and day.day <= 7,
        "last working day": _is_last_working_day,
        "quarterly": lambda day: day.day == of_month and (day.month - month) % 3 == 0,
        "yearly": lambda day: (day.month, day.day) == (month, of_month),
    }
    yield from (number for number in range(DAYS) if is_planned[rhythm](BEGIN + number * DAY))


def _is_last_working_day(day: date) -> bool:
    following = day + (7 - day.weekday() if day.weekday() >= 4 else 1) * DAY
    return day.weekday() < 5 and following.month != day.month


def _at_random(mean: int, chance: random.Random) -> Iterator[int]:
    day = chance.expovariate(1 / mean)
    while day < DAYS:
        yield int(day)
        day += chance.expovariate(1 / mean)


def _holidays(chance: random.Random) -> list[range]:
    """Two to three weeks over each new year, and as many in each summer."""
    found = []
    for year in (2024, 2025, 2026, 2027):
        for first in (date(year, 12, chance.randint(18, 24)), date(year, chance.choice((7, 8)), chance.randint(1, 15))):
            begin = (first - BEGIN).days
            found.append(range(begin, begin + chance.randint(14, 21)))
    return found


def _lost_with_a_replica(chance: random.Random) -> range:
    """The days of which one of two replicas has taken its log along."""
    if chance.random() < 0.5:
        return range(0)
    day = chance.randint(0, DAYS)
    return range(day, day + chance.randint(1, 3))


def moment(day: float) -> datetime:
    """The time so many days after the begin."""
    return datetime.combine(BEGIN, time(), UTC) + day * DAY


def _coverage(down: frozenset[int]) -> Coverage:
    """What the heartbeats of one process cover, which is down on some days."""
    beats = []
    for day in range(2 * DAYS):
        if day not in down:
            at: Literal["start", "interval"] = "start" if day - 1 in down else "interval"
            beats.append(Heartbeat(SCHEMA, moment(day), at, DAY.total_seconds(), "host:1"))
        elif day - 1 not in down:
            beats.append(Heartbeat(SCHEMA, moment(day), "stop", DAY.total_seconds(), "host:1"))
    return measure_coverage(Lives(beats), Span(moment(0), moment(2 * DAYS - 1)))
