"""Calls of the current API by those who have called the withdrawn one: they show who has moved."""

from collections.abc import Sequence

from proxy.callers.ledger.ledger import Content
from proxy.callers.ledger.tables.current_calls import CurrentDay


class CurrentCallsByCaller:
    """Finds the caller of each token. Calls by a token that several callers share show nothing about any of them."""

    def __init__(self) -> None:
        self._days: dict[str, list[CurrentDay]] = {}
        self._callers: dict[str, set[str]] = {}

    def read(self, content: Content) -> None:
        """Read what a ledger holds."""
        for token, day in content.current_calls():
            self._days.setdefault(token, []).append(day)

    def learn(self, caller: str, token: str | None) -> None:
        """Remember a token of a caller."""
        if token in self._days:
            self._callers.setdefault(token, set()).add(caller)

    def by_caller(self) -> dict[str, Sequence[CurrentDay]]:
        """The calls on each day, by caller."""
        found: dict[str, list[CurrentDay]] = {}
        for token, callers in self._callers.items():
            if len(callers) == 1:
                found.setdefault(next(iter(callers)), []).extend(self._days[token])
        return {caller: sorted(days, key=lambda day: day.first) for caller, days in found.items()}
