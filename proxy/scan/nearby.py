"""Tells quickly whether something stands near an offset."""

import re
from bisect import bisect_left


class Nearby:
    """The places of a pattern in a text, which is searched once.

    Args:
        pattern: what to look for.
        text: the text.
    """

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        self._places = [match.start() for match in pattern.finditer(text)]

    def has(self, first: int, last: int) -> bool:
        """Whether it begins between two offsets."""
        index = bisect_left(self._places, first)
        return index < len(self._places) and self._places[index] < last
