"""Tells callers from strangers: whoever can reach the proxy, but never showed a token that the service accepts.

Strangers can make up any number of names and tokens. So the report has only one row for each network that they call
from, and they have no say in the verdict.
"""

import functools
import ipaddress
from collections.abc import Set as AbstractSet
from typing import Literal

from proxy.callers.identity import ELSEWHERE, STRANGERS_IN, Caller
from proxy.callers.report.budget import OTHERS
from proxy.callers.report.tally import CallKey

STRANGER: Literal["stranger"] = "stranger"
"""The source of a row for strangers, and its state."""

STRANGERS = "(strangers)"
"""The group of all strangers, where calls are grouped."""

WHO = "They had no token, or none that the service accepted, and have no say in the verdict."
"""Who strangers are. Shown where there are any."""

_IPV4_BITS, _IPV6_BITS = 24, 48
"""A site has at most so many bits of prefix: 256 addresses in IPv4, and in IPv6 a /48 (RFC 6177), which is 65,536
networks of /64. By /64, one stranger alone could fill the report."""


@functools.lru_cache(4096)
def network_row(client_ip: str | None) -> str:
    """The name of the row for strangers with this address."""
    try:
        address = ipaddress.ip_address((client_ip or "").partition("%")[0])  # an older version logged the zone
    except ValueError:
        return ELSEWHERE
    bits = _IPV4_BITS if address.version == 4 else _IPV6_BITS
    return f"{STRANGERS_IN}{ipaddress.ip_network((address, bits), strict=False)}"


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
