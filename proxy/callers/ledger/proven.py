"""Knows which tokens the service has accepted, and how many keys strangers have, on this host and on the others."""

from collections.abc import Callable
from datetime import datetime, timedelta

from proxy.callers.ledger.counts import Strangers
from proxy.callers.ledger.ledger import Ledger

Clock = Callable[[], datetime]

_LIFE = timedelta(hours=1)


class ProvenTokens:
    """Bounds strangers, and asks the ledger each hour for what other hosts have counted.

    Args:
        ledger: which is asked.
        now: the time, UTC.
    """

    def __init__(self, ledger: Ledger, now: Clock) -> None:
        self._ledger, self._now = ledger, now
        self._strangers = Strangers()
        self._asked: datetime | None = None

    def strangers(self) -> Strangers:
        """Bounds their keys.

        Raises:
            LedgerUnavailable: it cannot be asked.
        """
        now = self._now()
        if self._asked is None or now - self._asked >= _LIFE:
            self._strangers.proven.update(self._ledger.proven_tokens())
            self._strangers.stored = self._ledger.keys_of_strangers()
            self._asked = now
        return self._strangers
