"""Tells policies apart: heartbeats carry the digest of the one that is in force."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from proxy.callers.identity import Rule
from proxy.withdrawn.lifecycle import Policy

_DIGITS = 12
_END = Rule._fields.index("note")


def policy_digest(policy: Policy, rules: Iterable[Rule]) -> str:
    """The first 12 hex digits of a SHA-256 of all that decides who is refused permanently.

    Brownouts, owners, contacts and notes are not part of it.

    Args:
        policy: the dates of the withdrawal.
        rules: the rules for known callers, in their order.
    """
    # What is left out here keeps its place: digests of earlier versions must stay the same.
    decisive = [list(map(_plain, rule._replace(owner=None, contact=None, every=None)[:_END])) for rule in rules]
    text = msgspec.json.encode([_plain(policy.sunset), _plain(policy.freeze), decisive])
    return hashlib.sha256(text).hexdigest()[:_DIGITS]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return [str(item) for item in value] if isinstance(value, tuple) else value
