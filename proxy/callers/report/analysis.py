"""Reports on the calls in the ledger or in caller logs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from proxy.callers.identity import Rule, merged_rule
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.lives import Lives, key_ids
from proxy.callers.log.reader import Progress, Reader
from proxy.callers.log.unreadable import Unreadable
from proxy.callers.policy_digest import policy_digest
from proxy.callers.record import CLOCK_SKEW, EARLIEST
from proxy.callers.report.aggregator import Aggregator, Dimension
from proxy.callers.report.brownout_calls import BrownoutCalls
from proxy.callers.report.budget import Budget
from proxy.callers.report.cuts import WEEK, Cuts
from proxy.callers.report.detail import Detail
from proxy.callers.report.enforcement import enforcement
from proxy.callers.report.policy_effect import policy_effects, policy_subjects
from proxy.callers.report.report import CallerReport, make_report
from proxy.callers.report.tally import Tally
from proxy.output import messages
from proxy.output.formatting import date, instant, pluralize
from proxy.withdrawn.lifecycle import Policy, PolicySubject


class ReadCounts(NamedTuple):
    """What was read.

    Attributes:
        files: number of files; 0 for a ledger.
        skipped: number of lines that are neither calls nor heartbeats, or whose time cannot be right.
    """

    files: int
    calls: int
    heartbeats: int
    skipped: int


class Source(Protocol):
    """Where calls are read."""

    def fill(self, aggregator: Aggregator, latest: datetime) -> tuple[ReadCounts, Unreadable]:
        """Count all calls.

        Args:
            aggregator: counts them.
            latest: records of this time or later are wrong.

        Returns:
            What was read, and what cannot be read and may be calls.
        """


class Logs:
    """Reads logs.

    Args:
        paths: of the logs; ``-`` is standard input.
        progress: called with the number of bytes read since the last call.
    """

    def __init__(self, paths: Iterable[str], progress: Progress = lambda _: None) -> None:
        self._paths, self._progress = paths, progress

    def fill(self, aggregator: Aggregator, latest: datetime) -> tuple[ReadCounts, Unreadable]:
        """See `Source`.

        Raises:
            NoLog: a log cannot be read.
        """
        reader = Reader(self._paths, self._progress, latest=latest)
        aggregator.add(reader)
        _warn(aggregator, latest)
        lives = aggregator.lives
        left_out = aggregator.misdated + lives.dropped
        read = ReadCounts(reader.files, reader.read - lives.beats - left_out, lives.beats, reader.skipped + left_out)
        return read, reader.unreadable


class StoredLogs:
    """Reads a ledger.

    Args:
        ledger: the ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def fill(self, aggregator: Aggregator, latest: datetime) -> tuple[ReadCounts, Unreadable]:  # noqa: ARG002
        """See `Source`.

        Raises:
            LedgerUnavailable: the ledger cannot be read.
        """
        with self._ledger.content() as content:
            calls = aggregator.add_stored(content)
            return ReadCounts(0, calls, 0, 0), content.unreadable()


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

    def detail_of(self, name: str) -> Detail:
        """The details of a caller; empty if it did not call in the period."""
        return self.details.get(name) or Detail(Budget(0))


def analyze(
    source: Source,
    rules: Sequence[Rule],
    now: datetime,
    *,
    by: Dimension = "caller",
    since: datetime | None = None,
    until: datetime | None = None,
    wants_detail: Callable[[str], bool] = lambda _: False,
    policy: Policy | None = None,
    expected: Mapping[str, timedelta] | None = None,
    gone: Sequence[str] = (),
    compare: timedelta = WEEK,
    brownouts: BrownoutCalls | None = None,
) -> Analysis:
    """Report on calls.

    States and the verdict are about the whole log. They are as of now; if `until` is earlier, as of then or as of the
    last record, whichever is later.

    Args:
        source: where the calls are read.
        rules: the current rules, which also name the callers of older records.
        now: the current time.
        by: what to group by.
        since: begin of the period in which calls are counted; None for the begin of the logs.
        until: end of that period; None for now.
        wants_detail: whether the caller with a name is reported in detail.
        policy: the dates of the withdrawal; None for none.
        expected: the longest period of the jobs of callers, by name, besides those that rules know.
        gone: globs of hosts that are known to be gone.
        compare: whole days; so many until now, or until `until`, are compared with as many before.
        brownouts: is told of all calls, for `brownout_results`; None for nothing.

    Raises:
        NoLog: a log cannot be read.
        LedgerUnavailable: the ledger cannot be read.
    """
    policy, latest = policy or Policy(), max(now, until or now) + CLOCK_SKEW
    cuts = Cuts.ending(until or now, compare)
    aggregator = Aggregator(
        rules, by, since, until, wants_detail, freeze=policy.freeze, latest=latest, cuts=cuts, brownouts=brownouts
    )
    read, unreadable = source.fill(aggregator, latest)
    tallies, before_freeze, lives = aggregator.tallies(), aggregator.callers_before_freeze(), aggregator.lives
    if aggregator.successions is not None and before_freeze is not None:
        for tally in tallies.values():
            if tally.caller not in before_freeze:
                tally.predecessor = aggregator.successions.predecessor_of(tally.caller)
    _merge_rules(tallies.values(), rules)
    as_of = now if until is None else max([until, *_last_records(tallies, lives)])
    subjects = policy_subjects(tallies.values(), before_freeze, rules)
    effects = policy_effects(policy, subjects, as_of)
    shown = enforcement(lives, tallies.values(), effects, policy_digest(policy, rules), as_of)
    return Analysis(
        report=make_report(
            tallies,
            lives,
            effects,
            as_of,
            by=by,
            since=since,
            until=until,
            every=_periods(rules, expected or {}),
            enforcement=shown,
            gone=gone,
            unreadable=unreadable,
            current=aggregator.current_calls.by_caller(),
            cuts=cuts if as_of <= cuts.end else None,
            policy=policy,
        ),
        details=aggregator.details,
        read=read,
        subjects=subjects,
        matched_rules=frozenset(aggregator.matched_rules),
        covers_freeze=before_freeze is not None,
    )


def _merge_rules(tallies: Iterable[Tally], rules: Iterable[Rule]) -> None:
    """Have a caller that several rules name know what all of them say."""
    by_name: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        by_name[rule.name].append(rule)
    for tally in tallies:
        if tally.rule is not None:
            tally.rule = merged_rule(by_name[tally.rule.name])._replace(contact=tally.rule.contact)


def _last_records(tallies: Mapping[tuple[str, str], Tally], lives: Lives) -> Iterator[datetime]:
    yield from (tally.last_seen for tally in tallies.values())
    yield from (life.last_beat for life in lives)


def _periods(rules: Iterable[Rule], expected: Mapping[str, timedelta]) -> dict[str, float]:
    """The longest period of the jobs of each caller in seconds, as far as rules or the user know it."""
    known = [(rule.name, rule.every) for rule in rules if rule.every is not None and not rule.ignore]
    periods: dict[str, float] = {}
    for name, period in (*known, *expected.items()):
        periods[name] = max(period.total_seconds(), periods.get(name, 0))
    return periods


def _warn(aggregator: Aggregator, latest: datetime) -> None:
    if aggregator.misdated:
        records = pluralize(aggregator.misdated, "record")
        messages.warning(
            f"skipped {records} from before {date(EARLIEST)} or after {instant(latest)}: a clock was wrong"
        )
    if aggregator.lives.dropped:
        messages.warning(f"skipped {pluralize(aggregator.lives.dropped, 'heartbeat')}: there are too many")
    if len(key_ids(aggregator.lives)) > 1:
        messages.warning("the log was written with several fingerprint keys, so one token can have several names")
