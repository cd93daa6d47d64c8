"""Says once that a limit is reached and calls are refused, and once that this is over."""

import time
from collections.abc import Callable

from proxy.errors import Limit
from proxy.output.diagnostics import log

CALM = 30.0
"""Seconds without a refusal after which it is over."""

_KEYS: dict[Limit, str] = {
    "in_flight": "limits.in_flight",
    "upstream_connections": "upstream.max_connections",
    "buffered": "limits.buffered",
}
"""The keys of the limits that calls share. The others concern one caller, who is told."""


class ReachedLimits:
    """Counts refusals, and logs when those by a shared limit begin and end.

    Args:
        count: called for each.
        now: seconds on a monotonic clock.
    """

    def __init__(self, count: Callable[[Limit], None], now: Callable[[], float] = time.monotonic) -> None:
        self._count, self._now = count, now
        self._reached: dict[str, tuple[int, float]] = {}  # how many calls were refused, and when the last one was

    def refused(self, limit: Limit) -> None:
        """Note that a limit has refused or ended a call."""
        self._count(limit)
        if (key := _KEYS.get(limit)) is None:
            return
        calls, _ = self._reached.get(key, (0, 0.0))
        if not calls:
            log.warning("limit_reached", key=key, message="calls are refused; raise it, or see why there are so many")
        self._reached[key] = calls + 1, self._now()

    def update(self) -> None:
        """Called about once a second."""
        for key, (calls, last) in list(self._reached.items()):
            if self._now() > last + CALM:
                del self._reached[key]
                log.info("limit_no_longer_reached", key=key, refused_calls=calls)
