"""Tells callers from strangers: whoever can reach the proxy, but never showed a token that the service accepts.

Strangers can make up any number of names and tokens. So the report has only one row for each network that they call
from, and they have no say in the verdict.
"""

from collections.abc import Set as AbstractSet

from proxy.callers.identity import ELSEWHERE, STRANGERS_IN, Caller
from proxy.callers.networks import network_of
from proxy.callers.report.budget import OTHERS
from proxy.callers.report.tally import CallKey

STRANGERS = "(strangers)"
"""The group of all strangers, where calls are grouped."""

WHO = "They had no token, or none that the service accepted, and have no say in the verdict."
"""Who strangers are. Shown where there are any."""


def network_row(client_ip: str | None) -> str:
    """The name of the row for strangers with this address."""
    network = network_of(client_ip)
    return ELSEWHERE if network is None else f"{STRANGERS_IN}{network}"


def is_proof(key: CallKey) -> bool:
    """Whether calls with this key show that their token is real: the service accepted it."""
    return key.token is not None and key.status < 400


def had_record(caller: Caller, names: AbstractSet[str]) -> bool:
    """Whether a caller is among the names of `Aggregator.callers_before_freeze`.

    If these are not all, because there were too many, everybody is.
    """
    if caller.name in names or OTHERS in names:
        return True
    return caller.token is None and not names.isdisjoint({network_row(caller.client_ip), ELSEWHERE})
