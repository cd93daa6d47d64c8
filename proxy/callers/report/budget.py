"""Bounds what a report keeps of the texts in a log."""

OTHERS = "(others)"
"""Stands for all values, or all callers, beyond a limit."""

_OVERHEAD = 100


class Budget:
    """Memory for texts that callers chose.

    Args:
        size: roughly, in bytes.
    """

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, length: int) -> bool:
        """Whether there is still memory for a text of this length, which is then taken."""
        cost = length + _OVERHEAD
        if cost > self._left:
            return False
        self._left -= cost
        return True

    def give_back(self, length: int) -> None:
        """Return the memory of a text."""
        self._left += length + _OVERHEAD
