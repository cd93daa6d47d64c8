"""How many calls may be in progress at once."""

from proxy import errors
from proxy.errors import Limit


class ConcurrencyLimit:
    """A context for each call, of which only so many may be entered at a time.

    Args:
        limit: how many.
        name: of the limit, for the metric.

    Raises:
        errors.Overloaded: on entering, if that many are in progress.
    """

    def __init__(self, limit: int, name: Limit = "in_flight") -> None:
        self._limit = self._free = limit
        self._name = name

    @property
    def is_used(self) -> bool:
        """Whether any call is in progress."""
        return self._free < self._limit

    def __enter__(self) -> None:
        if self._free == 0:
            raise errors.Overloaded("The proxy has as many calls in progress as it may have.", limit=self._name)
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1
