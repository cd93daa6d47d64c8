"""What in a policy is worth a second look before it is in force.

Pure: what time it is, is an argument.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from proxy.callers.identity import Rule
from proxy.callers.plan.forecast import CallerStatus, last_end, with_affected
from proxy.output.formatting import duration, instant, named, printable
from proxy.withdrawn.brownouts import Brownout, Once
from proxy.withdrawn.lifecycle import Change, Policy

SOON = timedelta(hours=24)
"""A brownout that begins within this time is announced."""


def policy_warnings(
    policy: Policy,
    rules: Sequence[Rule],
    callers: Sequence[CallerStatus],
    now: datetime,
    matched: frozenset[Rule] | None,
) -> list[str]:
    """What to warn of, a clause each.

    Args:
        policy: what is planned.
        rules: of the known callers.
        callers: the callers of the log, and the known ones.
        now: the time.
        matched: the rules that name a caller of the log; None where nothing can be said of that.
    """
    found = [*_windows(policy, callers, now)]
    if matched is not None:
        found += [*_globs(policy, callers), *_rules(rules, matched)]
    return [*found, *_dates(rules, callers, is_read=matched is not None)]


# --- brownouts


def _windows(policy: Policy, callers: Sequence[CallerStatus], now: datetime) -> Iterator[str]:
    for index, brownout in enumerate(policy.brownouts):
        where, end = f"lifecycle.brownouts[{index}]", last_end(policy, brownout, callers)
        window = next(brownout.windows.after(now), None)
        if window is None:
            if isinstance(brownout.windows, Once) and brownout.windows.window.end <= now:
                yield f"{where}: is over since {instant(brownout.windows.window.end)}; take it out"
        elif end is not None and window.begin >= end:
            yield f"{where}: begins at {instant(window.begin)}, and all whom it hits are refused by then; take it out"
        elif window.begin <= now + SOON:
            change = Change(window.begin, "brownout", window.end, brownout)
            hit = [caller.party.name for caller in with_affected(policy, callers, change, window.begin).affected]
            whom = named(hit) if hit else "nobody"
            away = duration((window.begin - now).total_seconds())
            yield f"{where}: begins in {away}, at {instant(window.begin)}, until {instant(window.end)}; it hits {whom}"


def _hits(brownout: Brownout, caller: CallerStatus) -> bool:
    return brownout.hits(caller.party.name, caller.party.owner)


# --- names


def _globs(policy: Policy, callers: Sequence[CallerStatus]) -> Iterator[str]:
    for index, brownout in enumerate(policy.brownouts):
        for key, globs in (("callers", brownout.callers), ("except", brownout.exempt)):
            for glob in globs:
                if not any(_hits(Brownout(brownout.windows, (glob,)), caller) for caller in callers):
                    where = f"lifecycle.brownouts[{index}].{key}"
                    yield f"{where}: '{printable(glob)}' matches nobody, neither in the log nor in callers.known"


def _rules(rules: Sequence[Rule], matched: frozenset[Rule]) -> Iterator[str]:
    for index, rule in enumerate(rules):
        if rule not in matched:
            yield (
                f"callers.known[{index}]: no call in the log is one of {printable(rule.name)}:"
                " none matches, or each matches an earlier rule"
            )


def _dates(rules: Sequence[Rule], callers: Sequence[CallerStatus], *, is_read: bool) -> Iterator[str]:
    by_name = {caller.party.name: caller for caller in callers}
    for index, rule in enumerate(rules):
        where, caller = f"callers.known[{index}]", by_name[rule.name]
        last = caller.last_seen
        if rule.migrated is not None and last is not None and last >= rule.migrated and caller.state != "retired":
            yield (
                f"{where}.migrated: {printable(rule.name)} still calls, last at {instant(last)},"
                f" and is to have moved by {instant(rule.migrated)}"
            )
        if rule.extension is not None and last is None and is_read:
            yield f"{where}.extension: {printable(rule.name)} is not in the log; there is nobody to extend it for"
