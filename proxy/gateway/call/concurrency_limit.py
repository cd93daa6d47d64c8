"""How many calls may be under way at once."""

from proxy import errors


class ConcurrencyLimit:
    """A context for each call, of which there may be only so many at a time.

    Args:
        most: how many.

    Raises:
        errors.Overloaded: on entering, all of them are taken.
    """

    def __init__(self, most: int) -> None:
        self._most = self._free = most

    @property
    def is_used(self) -> bool:
        """Whether any is."""
        return self._free < self._most

    def __enter__(self) -> None:
        if self._free == 0:
            raise errors.Overloaded("The proxy has as many calls under way as it may have.")
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1
