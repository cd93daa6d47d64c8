"""Counts calls of the current API by token, for the ledger."""

from collections.abc import Callable
from datetime import datetime, timedelta

from proxy.callers import identity
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.current_calls import CurrentDay

INTERVAL = timedelta(minutes=1)
"""Time between two additions to the ledger."""

MOST_TOKENS = 10_000
"""Tokens that are counted at a time. Only those that the service has accepted get here."""


class CurrentCalls:
    """Counts in memory, and adds to the ledger each minute.

    What a killed process has not added is lost: the counts show that a caller has moved, and no verdict rests on them.

    Args:
        key: HMAC key for the fingerprints of tokens.
        ledger: where they are added.
        now: the time, UTC.
    """

    def __init__(self, key: bytes, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._key, self._ledger, self._now = key, ledger, now
        self._begin = now()
        # By the hash of the header, which is random in each process: a core dump would show the tokens themselves.
        self._counted: dict[int, _Count] = {}
        self._waiting: dict[tuple[str, int], CurrentDay] = {}

    def add(self, authorization: bytes | None) -> None:
        """Count a call that the service has accepted, by its ``Authorization`` header."""
        number = hash(authorization)
        count = self._counted.get(number)
        if count is None:
            token = identity.token(authorization.decode("utf-8", "surrogateescape")) if authorization else None
            if token is None or len(self._counted) >= MOST_TOKENS:
                return
            count = self._counted[number] = _Count(identity.fingerprint(self._key, token))
        count.calls += 1

    def flush(self, *, at_end: bool = False) -> None:
        """Add what was counted to the ledger, if it is time to or at the end. Called from the thread of the ledger."""
        now = self._now()
        if now < self._begin + INTERVAL and not at_end:
            return
        begin, self._begin = self._begin, now
        counted, self._counted = self._counted, {}
        for count in counted.values():
            self._wait(count.token, CurrentDay(count.calls, begin, now))
        if self._waiting:
            self._write()

    def _wait(self, token: str, added: CurrentDay) -> None:
        key = token, added.last.toordinal()
        known = self._waiting.get(key)
        if known is not None:
            self._waiting[key] = CurrentDay(known.calls + added.calls, known.first, added.last)
        elif len(self._waiting) < MOST_TOKENS:
            self._waiting[key] = added

    def _write(self) -> None:
        try:
            self._ledger.add_current_calls(self._waiting)
            self._waiting = {}
        except LedgerUnavailable:
            pass  # reported where the log is counted
        finally:
            self._ledger.close()


class _Count:
    """The calls by one token."""

    __slots__ = ("calls", "token")

    def __init__(self, token: str) -> None:
        self.token, self.calls = token, 0
