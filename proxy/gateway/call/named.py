"""Remembers which callers were named to the operator, so that each is named once."""

from proxy.callers.identity import Caller


class Named:
    """The callers that were named.

    Args:
        most: how many are named at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: set[str] = set()

    def is_new(self, caller: Caller) -> bool:
        """Whether to name a caller now; from then on, not again."""
        if caller.name in self._names or len(self._names) >= self._most:
            return False
        self._names.add(caller.name)
        return True
