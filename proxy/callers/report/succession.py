"""Recognizes callers by where they call from, once a freeze refuses new ones: a rotated token has a new name.

Pure. A new caller with the agent, the network and a workflow of a caller from before the freeze is its successor.
Anyone could call so, but the service still checks the token: a freeze keeps new tools away, not attackers.
"""

from datetime import datetime
from typing import NamedTuple

from proxy.callers.identity import ELSEWHERE
from proxy.callers.report.budget import Budget
from proxy.callers.report.strangers import network_row
from proxy.callers.report.tally import CallKey

MAX_BYTES = 8 << 20
"""Memory for origins."""

_OVERHEAD = 300


class Origin(NamedTuple):
    """What the calls of one tool have in common, whatever its token.

    Attributes:
        network: as in the name of the row for strangers there.
    """

    user_agent: str | None
    network: str
    workflow: str | None


def origin_of(user_agent: str | None, client_ip: str | None, workflow: str | None) -> Origin | None:
    """The origin of a call; None if its address is not known."""
    network = network_row(client_ip)
    return Origin(user_agent, network, workflow) if network != ELSEWHERE else None


class Successions:
    """Who called from where, before the freeze and after it, in bounded memory.

    Args:
        freeze: the time of the freeze.

    Attributes:
        predecessors: the caller from before the freeze that was the last to call from an origin.
    """

    def __init__(self, freeze: datetime) -> None:
        self.predecessors: dict[Origin, str] = {}
        self._freeze = freeze
        self._last: dict[Origin, datetime] = {}
        self._earlier: set[str] = set()
        self._later: dict[str, set[Origin]] = {}
        self._room = Budget(MAX_BYTES)

    def add(self, caller: str, key: CallKey, first: datetime, last: datetime) -> None:
        """Add calls of a caller with the same key, by the times of the first and the last one."""
        origin = origin_of(key.user_agent, key.client_ip, key.workflow)
        if origin is None:
            return
        if first < self._freeze:
            self._earlier.add(caller)
            before = self._last.get(origin)
            if before is None and not self._has_room(origin):
                return
            if before is None or first > before:
                self.predecessors[origin], self._last[origin] = caller, first
        if last >= self._freeze and caller not in self._earlier:
            later = self._later.setdefault(caller, set())
            if origin not in later and self._has_room(origin):
                later.add(origin)

    def predecessor_of(self, caller: str) -> str | None:
        """Whose successor a caller is that has not called before the freeze; None if it is new."""
        found = {self.predecessors[origin] for origin in self._later.get(caller, ()) if origin in self.predecessors}
        return min(found, default=None)

    def _has_room(self, origin: Origin) -> bool:
        return self._room.take(_OVERHEAD + len(origin.user_agent or "") + len(origin.workflow or ""))
