"""Reads caller logs and reports on them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from proxy.callers.identity import Rule
from proxy.callers.record import CLOCK_SKEW, EARLIEST
from proxy.callers.report.aggregator import Aggregator, Dimension
from proxy.callers.report.coverage import key_ids
from proxy.callers.report.detail import Detail
from proxy.callers.report.policy_effect import policy_effects, policy_subjects
from proxy.callers.report.reader import Progress, Reader
from proxy.callers.report.report import CallerReport, make_report
from proxy.output import messages
from proxy.output.formatting import date, instant, pluralize
from proxy.withdrawn.lifecycle import Policy, PolicySubject


class ReadCounts(NamedTuple):
    """What was read.

    Attributes:
        skipped: number of lines that are neither calls nor heartbeats, or whose time cannot be right.
    """

    files: int
    calls: int
    heartbeats: int
    skipped: int


class Analysis(NamedTuple):
    """A report, and the data behind it.

    Attributes:
        details: details of the callers for which they were requested, by name.
        read: what was read.
        subjects: all callers as the policy sees them, by name.
        matched_rules: the rules that name a caller in the log.
        covers_freeze: whether the log goes back to before the freeze, and so tells which callers are new.
    """

    report: CallerReport
    details: dict[str, Detail]
    read: ReadCounts
    subjects: Mapping[str, PolicySubject]
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
    policy: Policy | None = None,
) -> Analysis:
    """Read logs and report on them.

    Args:
        paths: paths of the logs; ``-`` is standard input.
        rules: the current rules, which also name the callers of older records.
        now: the current time.
        by: what to group by.
        since: begin of the period; None for the begin of the logs.
        until: end of the period; None for now.
        wants_detail: whether the caller with a name is reported in detail.
        progress: called with the number of bytes read since the last call.
        policy: the dates of the withdrawal; None for none.

    Raises:
        NoLog: a log cannot be read.
    """
    policy, end, reader = policy or Policy(), until or now, Reader(paths, progress)
    latest = max(now, end) + CLOCK_SKEW
    aggregator = Aggregator(rules, by, since, until, wants_detail, freeze=policy.freeze, latest=latest)
    aggregator.add(reader)
    _warn(aggregator, latest)
    tallies, before_freeze = aggregator.tallies(), aggregator.callers_before_freeze()
    subjects = policy_subjects(tallies.values(), before_freeze)
    effects = policy_effects(policy, subjects, end)
    heartbeats, left_out = len(aggregator.heartbeats), aggregator.misdated + aggregator.dropped_heartbeats
    return Analysis(
        report=make_report(tallies, aggregator.heartbeats, effects, end, by=by, since=since),
        details=aggregator.details,
        read=ReadCounts(reader.files, reader.read - heartbeats - left_out, heartbeats, reader.skipped + left_out),
        subjects=subjects,
        matched_rules=frozenset(aggregator.matched_rules),
        covers_freeze=before_freeze is not None,
    )


def _warn(aggregator: Aggregator, latest: datetime) -> None:
    if aggregator.misdated:
        records = pluralize(aggregator.misdated, "record")
        messages.warning(
            f"skipped {records} from before {date(EARLIEST)} or after {instant(latest)}: a clock was wrong"
        )
    if aggregator.dropped_heartbeats:
        messages.warning(f"skipped {pluralize(aggregator.dropped_heartbeats, 'heartbeat')}: there are too many")
    if len(key_ids(aggregator.heartbeats)) > 1:
        messages.warning("the log was written with several fingerprint keys, so one token can have several names")
