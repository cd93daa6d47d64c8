"""How often the verdict errs, and how long it keeps people waiting: ``make bench-verdict``.

Populations of callers live through two years (`populations`). On each day of the second year, three rules are asked
whether the API can be removed: the one of `proxy.callers.report`, the one that it had before, and the one of managed
Kubernetes insights.
"""

import argparse
import random
import statistics
import zlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from proxy.callers.report.budget import Budget
from proxy.callers.report.coverage import Coverage, Span
from proxy.callers.report.hours import Hours
from proxy.callers.report.jobs import Jobs
from proxy.callers.report.policy_effect import PolicyEffect
from proxy.callers.report.rhythm import rhythm_of
from proxy.callers.report.rows import Judge, caller_rows
from proxy.callers.report.tally import CallKey, Tally
from proxy.callers.report.verdict import conclude, unseen
from tests.bench.populations import DAY, RAREST, Job, Population, Run, moment, population

SECOND_YEAR = range(365, 730)
LONGEST_WAIT = 700
WEIGHTS = {"weekly": 30, "fortnightly": 10, "monthly": 35, "releases": 14, "quarterly": 10, "yearly": 1}
"""How many of a hundred populations have this rarest rhythm. It is an assumption; the rows do not depend on it."""

Tallies = dict[tuple[str, str], Tally]


# --- the rules


def new_rule(tallies: Tallies, coverage: Coverage, every: Mapping[str, float]) -> bool:
    """The verdict of `proxy.callers.report`."""
    judge = Judge(tallies.values(), coverage, every)
    today = Span(coverage.period.end - DAY, coverage.period.end)
    rows = caller_rows(tallies.values(), today, judge, defaultdict(PolicyEffect))
    return conclude(rows, coverage, unseen(rows, coverage, every)).verdict == "safe"


def previous_rule(tallies: Tallies, coverage: Coverage, _every: Mapping[str, float]) -> bool:
    """What it was before: three times the longest pause of a caller, at least 14 days; 62 after fewer than 4 days."""
    now, silence = coverage.period.end, coverage.silence_since()
    if coverage.covered_seconds(Span(now - 31 * DAY, now)) < 0.99 * 31 * DAY.total_seconds():
        return False
    for tally in tallies.values():
        days = 0
        for job in tally.jobs.named.values():
            days |= job.days
        shortest = (14 if days.bit_count() >= 4 else 62) * DAY.total_seconds()
        if silence(tally.last_seen) <= max(3 * rhythm_of(days).pause, shortest):
            return False
    return True


def peers_rule(tallies: Tallies, coverage: Coverage, _every: Mapping[str, float]) -> bool:
    """No call in the last 30 days."""
    return all(tally.last_seen < coverage.period.end - 30 * DAY for tally in tallies.values())


Rule = Callable[[Tallies, Coverage, Mapping[str, float]], bool]
RULES: dict[str, Rule] = {"no call in 30 days": peers_rule, "before": previous_rule, "now": new_rule}


# --- asking them


class Answers(NamedTuple):
    """What a rule said of one population.

    Attributes:
        asked: days on which it was asked.
        safe: days on which it said safe.
        false_safe: days on which it said so although somebody will still call.
        known: those of these days on which a job will still call that had run three times in the log.
        waiting: days from the last call until it said safe; None if somebody still calls at the end.
        most: how many it may be (`_longest_wait`).
    """

    asked: int
    safe: int
    false_safe: int
    known: int
    waiting: int | None
    most: float


def ask(people: Population, rule: Rule, every: Mapping[str, float]) -> Answers:
    """Ask a rule about a population on each day of the second year, and then until it says safe."""
    last = people.last_call
    said: list[int] = []
    for day, tallies in _days(people, every):
        if day > SECOND_YEAR.stop and (last >= SECOND_YEAR.stop or (said and said[-1] > last)):
            break
        if day in SECOND_YEAR or day > last:
            period = Span(people.coverage.period.begin, moment(day))
            covered = tuple(
                Span(span.begin, min(span.end, period.end))
                for span in people.coverage.covered
                if span.begin < period.end
            )
            if rule(tallies, Coverage(period, covered), every):
                said.append(day)
    asked = [day for day in said if day in SECOND_YEAR]
    wrong = [day for day in asked if day <= last]
    known = [day for day in wrong if any(_has_run(job, day, 3) and job.runs[-1].day >= day for job in people.jobs)]
    first = next((day for day in said if day > last), last + LONGEST_WAIT)
    waiting = first - last if last < SECOND_YEAR.stop else None
    return Answers(len(SECOND_YEAR), len(asked), len(wrong), len(known), waiting, _longest_wait(people, every))


def _days(people: Population, known: Container[str]) -> Iterator[tuple[int, Tallies]]:
    """Each day with the tallies of the days before it. Callers that are not known are named by their token."""
    by_day: dict[int, list[tuple[Job, Run]]] = defaultdict(list)
    for job in people.jobs:
        for run in job.runs:
            if run.is_logged:
                by_day[run.day].append((job, run))
    tallies: Tallies = {}
    for day in range(SECOND_YEAR.stop + LONGEST_WAIT):
        yield day, tallies
        for job, run in by_day[day]:
            _add(tallies, job, run, known)


def _add(tallies: Tallies, job: Job, run: Run, known: Container[str]) -> None:
    name = f"caller-{job.caller}"
    name = name if name in known else f"token:{job.caller}-{run.token}"
    first, last = moment(run.day + run.hours[0] / 24), moment(run.day + run.hours[-1] / 24)
    key = CallKey(
        "trigger",
        name,
        "token",
        "forwarded",
        200,
        "acme",
        "shop",
        None,
        f"{job.workflow} {job.caller}",
        None,
        name,
        None,
        None,
    )
    tally = tallies.get((name, name))
    if tally is None:
        texts = Budget(1 << 20)
        tally = tallies[name, name] = Tally(name, "token", None, None, first, last, texts, Jobs(texts))
    midnight = first.toordinal() * 24
    tally.add_times(key, Hours.of(dict.fromkeys((midnight + hour for hour in run.hours), 1)), first, last)


def _has_run(job: Job, day: int, times: int) -> bool:
    return sum(run.is_logged and run.day < day for run in job.runs) >= times


def _longest_wait(people: Population, every: Mapping[str, float]) -> float:
    """How long a rule may wait: 1.5 of the longest period plus 31 days, and for what the log lacks in that time."""
    told = [seconds / DAY.total_seconds() for seconds in every.values()]
    last, longest = people.last_call, 31 + 1.5 * max(*map(_period, people.jobs), *told)
    holes = [day for day in range(last - 45, last + int(longest)) if day in people.down]
    return max([longest + len(holes), *(day + 46 - last for day in holes)])


def _period(job: Job) -> float:
    """The longest days between two runs of a job, and a month if it was seen for less under its last name."""
    seen = [run for run in job.runs if run.is_logged]
    named = [run.day for run in seen if run.token == job.runs[-1].token]
    longest = max((later.day - run.day for run, later in pairwise(seen)), default=0)
    return longest if named and named[-1] - named[0] > 31 else max(longest, 31)


# --- the table


class Row(NamedTuple):
    """What a rule said of many populations.

    Attributes:
        false_safe: percent of all days on which it said safe although somebody will still call.
        known: those on which a job will still call that the log had seen three times.
        wrong: percent of the days on which it said safe that were false.
        median: days that it waited.
        longest: the most days that it waited.
        late: populations in which it waited for longer than it may.
    """

    false_safe: float
    known: float
    wrong: float
    median: float
    longest: float
    late: int


def summarize(answers: Iterable[Answers]) -> Row:
    """Sum up what a rule said."""
    every = list(answers)
    asked, safe = sum(found.asked for found in every), sum(found.safe for found in every)
    false, known = sum(found.false_safe for found in every), sum(found.known for found in every)
    waits = [(found.waiting, found.most) for found in every if found.waiting is not None]
    days = [days for days, _ in waits]
    return Row(
        100 * false / asked,
        100 * known / asked,
        100 * false / safe if safe else 0.0,
        statistics.median(days) if days else 0.0,
        max(days, default=0),
        sum(days > most + 2 for days, most in waits),  # it is asked once a day
    )


TOLD = "yearly, with `--expect`"


def simulate(
    count: int,
    seed: int,
    *,
    rules: Mapping[str, Rule] = RULES,
    rarest_of: Sequence[str] = tuple(RAREST),
    is_forgotten: bool | None = None,
) -> dict[str, dict[str, Row]]:
    """What each rule says of so many populations of each of these rarest rhythms, by rule and rhythm."""
    found: dict[str, dict[str, list[Answers]]] = defaultdict(lambda: defaultdict(list))
    for rarest in rarest_of:
        for number in range(count):
            chance = random.Random(zlib.crc32(f"{seed} {rarest} {number}".encode()))
            people = population(rarest, chance, is_forgotten=is_forgotten)
            for name, rule in rules.items():
                found[name][rarest].append(ask(people, rule, {}))
            if rarest == "yearly":
                told = {"caller-0": 366 * DAY.total_seconds()}
                found["now"][TOLD].append(ask(people, new_rule, told))
    return {
        rule: {rhythm: summarize(answers) for rhythm, answers in by_rhythm.items()} for rule, by_rhythm in found.items()
    }


def total(rows: Mapping[str, Row]) -> float:
    """Percent of all days on which a rule falsely said safe, in a mix of populations (`WEIGHTS`)."""
    return sum(weight * rows[rhythm].false_safe for rhythm, weight in WEIGHTS.items()) / sum(WEIGHTS.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--populations", type=int, default=50, help="of each rarest rhythm")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(
        "| rule | rarest job | false safe | by jobs seen three times | false of all safe | waiting | longest | late |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for rule, rows in simulate(options.populations, options.seed).items():
        for rhythm, row in rows.items():
            days = f"{row.median:g} d | {row.longest:g} d | {row.late}"
            print(f"| {rule} | {rhythm} | {row.false_safe:.2f} % | {row.known:.2f} % | {row.wrong:.1f} % | {days} |")
        print(f"| {rule} | all | {total(rows):.3f} % | | | | | |")


if __name__ == "__main__":
    main()
