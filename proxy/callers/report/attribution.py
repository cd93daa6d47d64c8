"""Decides which row of the report calls belong to: a caller, a network of strangers, or the rest."""

from collections.abc import Sequence
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
        callers: rows for callers, except those that a rule names; the rest share the row `OTHERS`.
        networks: rows for networks of strangers; the rest share the row `ELSEWHERE`.
        texts: what is left for names.

    Attributes:
        matched_rules: the rules that name a caller in the log.
    """

    def __init__(self, rules: Sequence[Rule], *, callers: int, networks: int, texts: Budget) -> None:
        self.matched_rules: set[Rule] = set()
        self._rules = rules
        self._rule_names = frozenset(folded(rule.name) for rule in rules)
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

    def row_of(self, key: CallKey, who: Who, client_ip: str | None) -> str | None:
        """The row that calls belong to; None for a token that the service has not accepted so far.

        Args:
            key: what the calls have in common.
            who: who made them.
            client_ip: their address.
        """
        if who.rule is not None:
            return who.name
        if who.source != "known":
            if key.token is None:
                return self.stranger_row(client_ip)
            if not self._is_proven(key, who):
                return None
        return self._caller_row(who.name)

    def stranger_row(self, client_ip: str | None) -> str:
        """The row for strangers with an address."""
        network = network_row(client_ip)
        if network not in self._networks and len(self._networks) >= self._most_networks:
            network = ELSEWHERE
        self._networks.add(network)
        return network

    def is_stranger(self, row: str) -> bool:
        """Whether a row is one of strangers."""
        return row in self._networks

    def learn(self, key: CallKey, who: Who) -> None:
        """Remember of calls if they prove that their token is real."""
        if who.source != "known":
            self._is_proven(key, who)

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
