"""Decides which row of the report calls belong to: a caller, a network of strangers, or the rest."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from proxy.callers.identity import ELSEWHERE, Rule, first_match, folded, may_be_declared
from proxy.callers.report.budget import OTHERS, Budget
from proxy.callers.report.strangers import is_proof, network_row
from proxy.callers.report.tally import NO_VALUE, CallKey


class Who(NamedTuple):
    """Who called, by the current rules."""

    name: str
    source: str
    owner: str | None
    rule: Rule | None


class Attribution:
    """Finds the row of each call, and bounds the number of rows.

    Args:
        rules: the current rules. A call that none of them matches keeps the caller's name in its record.
        freeze: `before_freeze` is about the time before this; None if there is no freeze.
        callers: rows for callers, except those that a rule names; the rest share the row `OTHERS`.
        networks: rows for networks of strangers; the rest share the row `ELSEWHERE`.
        texts: what is left for names.

    Attributes:
        matched_rules: the rules that name a caller in the log.
        before_freeze: rows of calls that were outside the period, and from before the freeze.
    """

    def __init__(
        self, rules: Sequence[Rule], freeze: datetime | None, *, callers: int, networks: int, texts: Budget
    ) -> None:
        self.matched_rules: set[Rule] = set()
        self.before_freeze: set[str] = set()
        self._rules = rules
        self._rule_names = frozenset(folded(rule.name) for rule in rules)
        self._freeze = freeze
        self._most_callers, self._most_networks = callers, networks
        self._texts = texts
        self._proven: set[tuple[str, str | None]] = set()
        self._callers: set[str] = set()
        self._networks: set[str] = set()

    def identify(self, key: CallKey) -> Who:
        """Who made calls with this key."""
        rule = first_match(self._rules, key.attributes)
        if rule is not None:
            self.matched_rules.add(rule)
            return Who(rule.name, "known", rule.owner, rule)
        if key.caller_source != "header" or not key.caller or may_be_declared(key.caller, self._rule_names):
            return Who(key.caller or NO_VALUE, key.caller_source, key.owner, None)
        # It was not known then, or an older version let it take any name.
        return Who(f"token:{key.token}", "token", None, None)

    def row_of(self, key: CallKey, who: Who, network: str) -> str | None:
        """The row that calls belong to; None for a token that the service has not accepted so far.

        Args:
            key: what the calls have in common.
            who: who made them.
            network: the row for strangers at their address.
        """
        if who.rule is not None:
            return who.name
        if who.source != "known":
            if key.token is None:
                return self.stranger_row(network)
            if not self._is_proven(key, who):
                return None
        return self._caller_row(who.name)

    def stranger_row(self, network: str) -> str:
        """The row for strangers in a network."""
        if network not in self._networks and len(self._networks) >= self._most_networks:
            network = ELSEWHERE
        self._networks.add(network)
        return network

    def is_stranger(self, row: str) -> bool:
        """Whether a row is one of strangers."""
        return row in self._networks

    def look_outside(self, key: CallKey, first: datetime) -> None:
        """Learn from calls outside the period: their token may be proven, and their caller is not new.

        Args:
            key: what the calls have in common.
            first: time of the first one.
        """
        who = self.identify(key)
        is_proven = who.source == "known" or self._is_proven(key, who)
        if self._freeze is None or first >= self._freeze:
            return
        if is_proven:
            self._add_before_freeze(who.name)
        elif key.token is None:
            self._add_before_freeze(network_row(key.client_ip))

    def _is_proven(self, key: CallKey, who: Who) -> bool:
        """Whether the service once accepted the token of this caller."""
        proof = (who.name, key.token)
        if is_proof(key) and len(self._proven) < 2 * self._most_callers:
            self._proven.add(proof)
        return is_proof(key) or proof in self._proven

    def _caller_row(self, name: str) -> str:
        if name in self._callers:
            return name
        if len(self._callers) >= self._most_callers or not self._texts.take(len(name)):
            return OTHERS
        self._callers.add(name)
        return name

    def _add_before_freeze(self, name: str) -> None:
        is_full = len(self.before_freeze) >= self._most_callers + self._most_networks
        self.before_freeze.add(OTHERS if is_full else name)
