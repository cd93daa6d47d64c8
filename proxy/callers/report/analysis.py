"""From logs to a report: reads, counts and concludes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from proxy.callers.identity import Rule
from proxy.callers.report.detail import Detail
from proxy.callers.report.policy_effect import NOTHING_PLANNED, policy_subjects
from proxy.callers.report.reader import Progress, Reader
from proxy.callers.report.report import CallerReport, make_report
from proxy.callers.report.tally import Aggregator, Dimension
from proxy.withdrawn.lifecycle import Party, Policy


class ReadCounts(NamedTuple):
    """What was read.

    Attributes:
        skipped: how many lines were neither calls nor heartbeats.
    """

    files: int
    calls: int
    heartbeats: int
    skipped: int


class Analysis(NamedTuple):
    """A report, and what it is made from.

    Attributes:
        details: of each caller that was wanted, by its name.
        subjects: all callers as the policy sees them, by their names.
        matched_rules: the rules that name one of them.
        covers_freeze: whether it has anything from before the freeze, so that it tells who is new.
    """

    report: CallerReport
    details: dict[str, Detail]
    read: ReadCounts
    subjects: Mapping[str, Party]
    matched_rules: frozenset[Rule]
    covers_freeze: bool


def analyze(
    paths: Iterable[str],
    rules: Sequence[Rule],
    now: datetime,
    *,
    by: Dimension = "caller",
    since: datetime | None = None,
    until: datetime | None = None,
    wants_detail: Callable[[str], bool] = lambda _: False,
    progress: Progress = lambda _: None,
    policy: Policy = NOTHING_PLANNED,
) -> Analysis:
    """Read logs, and report on them.

    Args:
        paths: of the logs; ``-`` is standard input.
        rules: those of today, which name callers anew.
        now: the time.
        by: what to group by.
        since: the beginning of the period; None for that of the logs.
        until: its end; None for now.
        wants_detail: which callers, by their names, are to be told of in detail.
        progress: told of the bytes that were read.
        policy: what is planned.

    Raises:
        reader.NoLog: a log cannot be read.
    """
    reader = Reader(paths, progress)
    aggregator = Aggregator(rules, by, since, until, wants_detail, freeze=policy.freeze)
    aggregator.add(reader)
    tallies = aggregator.tallies()
    callers_before_freeze = aggregator.callers_before_freeze()
    subjects = policy_subjects(tallies.values(), callers_before_freeze)
    report = make_report(
        tallies, aggregator.heartbeats, until or now, by=by, since=since, policy=policy, subjects=subjects
    )
    heartbeats = len(aggregator.heartbeats)
    read = ReadCounts(reader.files, reader.read - heartbeats, heartbeats, reader.skipped)
    return Analysis(
        report,
        aggregator.details,
        read,
        subjects,
        frozenset(aggregator.matched_rules),
        callers_before_freeze is not None,
    )
