"""What in a policy is worth a second look before it is in force.

Pure: what time it is, is an argument.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import combinations_with_replacement, islice, takewhile

from proxy.callers.identity import Rule
from proxy.callers.plan.forecast import Subject, end_for, with_hits
from proxy.output.formatting import duration, instant, join_names, printable
from proxy.withdrawn.brownouts import Brownout, Once, Window
from proxy.withdrawn.lifecycle import Change, Policy

SOON = timedelta(hours=24)
"""A brownout that begins within this time is announced."""

AHEAD = timedelta(days=90)
_WINDOWS = 500
"""How far ahead windows are held against one another: for so long, and so many of each brownout."""


def cautions(
    policy: Policy, rules: Sequence[Rule], subjects: Sequence[Subject], now: datetime, matched: frozenset[Rule] | None
) -> list[str]:
    """What to warn of, a clause each.

    Args:
        policy: what is planned.
        rules: of the known callers.
        subjects: the callers of the log, and the known ones.
        now: the time.
        matched: the rules that name a caller of the log; None where nothing can be said of that.
    """
    found = [*_windows(policy, subjects, now), *_overlaps(policy, subjects, now)]
    if matched is not None:
        found += [*_globs(policy, subjects), *_rules(rules, matched)]
    return [*found, *_dates(rules, subjects, is_read=matched is not None)]


# --- brownouts


def _windows(policy: Policy, subjects: Sequence[Subject], now: datetime) -> Iterator[str]:
    for index, brownout in enumerate(policy.brownouts):
        where, end = f"lifecycle.brownouts[{index}]", end_for(policy, brownout, subjects)
        window = next(brownout.windows.after(now), None)
        if window is None:
            if isinstance(brownout.windows, Once) and brownout.windows.window.end <= now:
                yield f"{where}: is over since {instant(brownout.windows.window.end)}; take it out"
        elif end is not None and window.begin >= end:
            yield f"{where}: begins at {instant(window.begin)}, and all whom it hits are refused by then; take it out"
        elif window.begin <= now + SOON:
            change = Change(window.begin, "brownout", window.end, brownout)
            hit = [subject.party.name for subject in with_hits(policy, subjects, change, window.begin).hits]
            whom = join_names(hit) if hit else "nobody"
            away = duration((window.begin - now).total_seconds())
            yield f"{where}: begins in {away}, at {instant(window.begin)}, until {instant(window.end)}; it hits {whom}"


def _overlaps(policy: Policy, subjects: Sequence[Subject], now: datetime) -> Iterator[str]:
    windows = [_upcoming(brownout, now, end_for(policy, brownout, subjects)) for brownout in policy.brownouts]
    hit = [{subject.party.name for subject in subjects if _hits(brownout, subject)} for brownout in policy.brownouts]
    for one, other in combinations_with_replacement(range(len(windows)), 2):
        is_anybody = not policy.brownouts[one].callers and not policy.brownouts[other].callers
        if not is_anybody and hit[one].isdisjoint(hit[other]):
            continue
        overlap = _first_overlap(windows[one], windows[other], is_same=one == other)
        if overlap is not None:
            when = f"from {instant(overlap.begin)} to {instant(overlap.end)}"
            with_ = "its own next window" if one == other else f"lifecycle.brownouts[{other}]"
            yield f"lifecycle.brownouts[{one}]: overlaps with {with_}, {when}"


def _upcoming(brownout: Brownout, now: datetime, end: datetime | None) -> list[Window]:
    last = now + AHEAD if end is None else min(end, now + AHEAD)
    window = brownout.windows.at(now)
    later = takewhile(lambda window: window.begin < last, islice(brownout.windows.after(now), _WINDOWS))
    return [*([window] if window is not None else []), *later]


def _first_overlap(one: Sequence[Window], other: Sequence[Window], *, is_same: bool) -> Window | None:
    ends: dict[bool, datetime] = {}
    marked = [(window, False) for window in one] + [(window, True) for window in other if not is_same]
    for window, is_other in sorted(marked):
        end = ends.get(is_other if is_same else not is_other)
        if end is not None and window.begin < end:
            return Window(window.begin, min(end, window.end))
        ends[is_other] = max(window.end, ends.get(is_other, window.end))
    return None


def _hits(brownout: Brownout, subject: Subject) -> bool:
    return brownout.affects(subject.party.name, subject.party.owner)


# --- names


def _globs(policy: Policy, subjects: Sequence[Subject]) -> Iterator[str]:
    for index, brownout in enumerate(policy.brownouts):
        for key, globs in (("callers", brownout.callers), ("except", brownout.exempt)):
            for glob in globs:
                if not any(_hits(Brownout(brownout.windows, (glob,)), subject) for subject in subjects):
                    where = f"lifecycle.brownouts[{index}].{key}"
                    yield f"{where}: '{printable(glob)}' matches nobody, neither in the log nor in callers.known"


def _rules(rules: Sequence[Rule], matched: frozenset[Rule]) -> Iterator[str]:
    for index, rule in enumerate(rules):
        if rule not in matched:
            yield (
                f"callers.known[{index}]: no call in the log is one of {printable(rule.name)}:"
                " none matches, or each matches an earlier rule"
            )


def _dates(rules: Sequence[Rule], subjects: Sequence[Subject], *, is_read: bool) -> Iterator[str]:
    by_name = {subject.party.name: subject for subject in subjects}
    for index, rule in enumerate(rules):
        where, subject = f"callers.known[{index}]", by_name[rule.name]
        last = subject.last_seen
        if rule.migrated is not None and last is not None and last >= rule.migrated and subject.state != "retired":
            yield (
                f"{where}.migrated: {printable(rule.name)} still calls, last at {instant(last)},"
                f" and is to have moved by {instant(rule.migrated)}"
            )
        if rule.extension is not None and last is None and is_read:
            yield f"{where}.extension: {printable(rule.name)} is not in the log; there is nobody to extend it for"
