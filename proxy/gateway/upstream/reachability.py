"""Says once that the service cannot be reached, and once that it can again."""

import time
from collections.abc import Callable

from proxy.output.diagnostics import log

CALM = 10.0
"""Seconds without a failure after which it is reached again: one that comes and goes is told of once."""


class Reachability:
    """Whether connections to the service can be made.

    Args:
        target: the address of the service, for the log.
        now: seconds on a monotonic clock.

    Attributes:
        reason: why it cannot be reached; None if it can, or if nobody has tried yet.
    """

    def __init__(self, target: str, now: Callable[[], float] = time.monotonic) -> None:
        self.reason: str | None = None
        self._target, self._now = target, now
        self._failed_at = 0.0
        self._has_worked = False

    def failed(self, reason: str) -> None:
        """Note that no connection could be made."""
        if self.reason is None:
            log.warning("upstream_unreachable", target=self._target, reason=reason)
        self.reason, self._failed_at, self._has_worked = reason, self._now(), False

    def worked(self) -> None:
        """Note that one could. Need only be called while there is a `reason`."""
        self._has_worked = True

    def update(self) -> None:
        """Called about once a second."""
        if self._has_worked and self.reason is not None and self._now() > self._failed_at + CALM:
            self.reason = None
            log.info("upstream_reachable", target=self._target)
