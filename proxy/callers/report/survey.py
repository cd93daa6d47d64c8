"""From logs to a report: reads, counts and concludes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from proxy.callers.identity import Rule
from proxy.callers.report.detail import Detail
from proxy.callers.report.outlook import NOTHING_PLANNED, parties
from proxy.callers.report.reader import Progress, Reader
from proxy.callers.report.report import Report, report
from proxy.callers.report.tally import Dimension, Fold
from proxy.withdrawn.lifecycle import Policy, PolicySubject


class Source(NamedTuple):
    """What was read.

    Attributes:
        skipped: how many lines were neither calls nor heartbeats.
    """

    files: int
    calls: int
    heartbeats: int
    skipped: int


class Survey(NamedTuple):
    """A report, and what it is made from.

    Attributes:
        details: of each caller that was wanted, by its name.
        parties: all callers as the policy sees them, by their names.
        matched: the rules that name one of them.
        is_telling: whether it has anything from before the freeze, so that it tells who is new.
    """

    report: Report
    details: dict[str, Detail]
    source: Source
    parties: Mapping[str, PolicySubject]
    matched: frozenset[Rule]
    is_telling: bool


def survey(
    paths: Iterable[str],
    rules: Sequence[Rule],
    now: datetime,
    *,
    by: Dimension = "caller",
    since: datetime | None = None,
    until: datetime | None = None,
    is_wanted: Callable[[str], bool] = lambda _: False,
    progress: Progress = lambda _: None,
    policy: Policy = NOTHING_PLANNED,
) -> Survey:
    """Read logs, and report on them.

    Args:
        paths: of the logs; ``-`` is standard input.
        rules: those of today, which name callers anew.
        now: the time.
        by: what to group by.
        since: the beginning of the period; None for that of the logs.
        until: its end; None for now.
        is_wanted: which callers, by their names, are to be told of in detail.
        progress: told of the bytes that were read.
        policy: what is planned.

    Raises:
        reader.NoLog: a log cannot be read.
    """
    reader = Reader(paths, progress)
    fold = Fold(rules, by, since, until, is_wanted, freeze=policy.freeze)
    fold.take(reader)
    tallies = fold.tallies()
    had_record = fold.had_record()
    who = parties(tallies.values(), had_record)
    made = report(tallies, fold.beats, until or now, by=by, since=since, policy=policy, parties=who)
    heartbeats = len(fold.beats)
    source = Source(reader.files, reader.read - heartbeats, heartbeats, reader.skipped)
    return Survey(made, fold.details, source, who, frozenset(fold.matched), had_record is not None)
