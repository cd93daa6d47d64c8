"""Calls by the values that they have, such as their workflow."""

import functools
from collections import Counter
from dataclasses import dataclass, field

from proxy.callers.report.budget import OTHERS, Budget

KINDS = ("endpoints", "repositories", "workflows", "agents", "outcomes", "replacements")
"""The kinds of values that calls are counted by."""

MOST_VALUES = 1000
"""How many different values of a kind are counted; the rest are `OTHERS`."""


_SHORT = 200
"""Characters. Longer values are not shared, which bounds what the cache takes."""


@dataclass(slots=True)
class ValueCounts:
    """Counts calls by value, for each of `KINDS`.

    A report has thousands of these. With one dictionary instead of one for each kind, they take half of the memory.

    Attributes:
        calls: the number of calls by the index of the kind and the value.
    """

    calls: dict[tuple[int, str], int] = field(default_factory=dict)
    _sizes: list[int] = field(default_factory=lambda: [0] * len(KINDS), compare=False)

    def add(self, kind: int, value: str, calls: int, texts: Budget) -> None:
        """Count calls.

        Args:
            kind: an index of `KINDS`.
            value: the value that they have.
            calls: their number.
            texts: what is left for new values.
        """
        entry = _shared(kind, value) if len(value) < _SHORT else (kind, value)
        if entry not in self.calls:
            if self._sizes[kind] < MOST_VALUES and texts.take(len(value)):
                self._sizes[kind] += 1
            else:
                entry = kind, OTHERS
        self.calls[entry] = self.calls.get(entry, 0) + calls

    def merge(self, other: "ValueCounts") -> None:
        """Add the counts of another one."""
        for entry, calls in other.calls.items():
            self.calls[entry] = self.calls.get(entry, 0) + calls

    def by_kind(self) -> dict[str, Counter[str]]:
        """The number of calls by value, for each of `KINDS`."""
        found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for (kind, value), calls in self.calls.items():
            found[KINDS[kind]][value] = calls
        return found


@functools.lru_cache(4096)
def _shared(kind: int, value: str) -> tuple[int, str]:
    """The same object for the same value: most callers share most of their values."""
    return kind, value
