"""Warns of mistakes in a policy before it takes effect.

Pure: the time is an argument.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from proxy.callers.identity import Rule
from proxy.callers.plan.forecast import CallerStatus, last_end, with_affected
from proxy.output.formatting import duration, instant, join_names, printable
from proxy.withdrawn.brownouts import Brownout
from proxy.withdrawn.lifecycle import Change, Policy

SOON = timedelta(hours=24)
"""Brownouts that begin within this time are announced."""


def policy_warnings(
    policy: Policy,
    rules: Sequence[Rule],
    callers: Sequence[CallerStatus],
    now: datetime,
    matched: frozenset[Rule] | None,
) -> list[str]:
    """The warnings, a sentence each.

    Args:
        policy: the policy.
        rules: the rules for known callers.
        callers: the callers in the log, and the known ones.
        now: the time.
        matched: the rules that name a caller in the log; None if there are no calls to check them against.
    """
    found = [*_windows(policy, callers, now)]
    if matched is not None:
        found += [*_globs(policy, callers), *_rules(rules, matched)]
    return [*found, *_dates(rules, callers, has_log=matched is not None), *_claims(rules)]


def _windows(policy: Policy, callers: Sequence[CallerStatus], now: datetime) -> Iterator[str]:
    for index, brownout in enumerate(policy.brownouts):
        where, end = f"lifecycle.brownouts[{index}]", last_end(policy, brownout, callers)
        window = next(brownout.windows.after(now), None)
        if window is None:  # past ones stay: `trigger-shim brownouts` and the chart need them
            continue
        if end is not None and window.begin >= end:
            yield f"{where}: begins at {instant(window.begin)}, when all its callers are refused already; remove it"
        elif window.begin <= now + SOON:
            change = Change(window.begin, "brownout", window.end, brownout)
            affected = with_affected(policy, callers, change, window.begin).affected
            names = join_names([caller.party.name for caller in affected]) if affected else "nobody"
            away = duration((window.begin - now).total_seconds())
            when = f"begins in {away}, at {instant(window.begin)}, and ends at {instant(window.end)}"
            yield f"{where}: {when}; affects {names}"


def _globs(policy: Policy, callers: Sequence[CallerStatus]) -> Iterator[str]:
    for index, brownout in enumerate(policy.brownouts):
        for key, globs in (("callers", brownout.callers), ("except", brownout.exempt)):
            for glob in globs:
                only = Brownout(brownout.windows, (glob,))
                if not any(only.affects(caller.party.name, caller.party.owner) for caller in callers):
                    where = f"lifecycle.brownouts[{index}].{key}"
                    yield f"{where}: '{printable(glob)}' matches no caller in the log or in callers.known"


def _rules(rules: Sequence[Rule], matched: frozenset[Rule]) -> Iterator[str]:
    for index, rule in enumerate(rules):
        if rule not in matched:
            yield (
                f"callers.known[{index}]: no call in the log is from {printable(rule.name)}:"
                " none matches, or an earlier rule matches as well"
            )


def _dates(rules: Sequence[Rule], callers: Sequence[CallerStatus], *, has_log: bool) -> Iterator[str]:
    by_name = {caller.party.name: caller for caller in callers}
    for index, rule in enumerate(rules):
        where, caller = f"callers.known[{index}]", by_name[rule.name]
        last = caller.last_seen
        if rule.migrated is not None and last is not None and last >= rule.migrated and caller.state != "retired":
            yield (
                f"{where}.migrated: {printable(rule.name)} still calls, last at {instant(last)},"
                f" but must have migrated by {instant(rule.migrated)}"
            )
        if rule.extension is not None and last is None and has_log:
            yield f"{where}.extension: {printable(rule.name)} is not in the log, so it needs no extension"


def _claims(rules: Sequence[Rule]) -> Iterator[str]:
    """Warn of rights that hang on what any caller can say of itself."""
    for index, rule in enumerate(rules):
        criteria = {"agent": rule.agents, "repository": rule.repositories, "workflow": rule.workflows}
        claims = [name for name, values in criteria.items() if values]
        if rule.tokens or rule.networks or not claims:
            continue
        for key in ("migrated", "extension", "exempt_from_freeze"):
            if getattr(rule, key):
                by = " and ".join(claims)
                yield f"callers.known[{index}].{key}: hangs on {by}, which any caller can claim; add token or network"
