"""How many file descriptors a process may have open, and how many of them callers may use."""

import contextlib
import resource
import sys
from collections.abc import Callable

from proxy.config import Config
from proxy.output.diagnostics import log

SPARE = 64
"""Descriptors kept for everything but calls, at most: listeners, files, pipes, and the admin listener's connections."""

ADMIN_CONNECTIONS = 32
"""Connections that the admin listener accepts at a time."""

KINDS = 2
"""Triggers and all other calls each have their own limits of calls and of connections to the upstream."""

CALM = 30.0
"""Seconds without a waiting caller after which a shortage is over."""

_RAISE = "raise the limit of open files (LimitNOFILE=, ulimit -n)"


class Shortage:
    """Logs the start and the end of a shortage of descriptors once.

    Args:
        most: returns how many there may be.
        message: what to do.
    """

    def __init__(self, most: Callable[[], int] | None = None, message: str = _RAISE) -> None:
        self._most, self._message = most or limit, message
        self._last: float | None = None

    def report(self, why: str, now: float) -> None:
        """Note that a caller has to wait.

        Args:
            why: the reason, for the log.
            now: on the loop's clock, in seconds.
        """
        if self._last is None:
            log.warning("connections_waiting", reason=why, limit=self._most(), message=self._message)
        self._last = now

    def update(self, now: float) -> None:
        """Log the end if the shortage is over. Called about once a second."""
        if self._last is not None and now > self._last + CALM:
            self._last = None
            log.info("connections_resumed")


def raise_limit() -> None:
    """Raise the limit of this process, and of those that it starts, to the maximum.

    Logins and containers start with a low limit, for programs that use ``select``.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # the system may refuse even this
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def limit() -> int:
    """Return how many descriptors this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else sys.maxsize


def max_connections(config: Config) -> int:
    """Return how many callers may be connected, such that enough descriptors are left to forward their calls."""
    free = limit() - min(SPARE, limit() // 4)
    return max(free - KINDS * config.upstream.max_connections, free // 2)


def check_limit(config: Config) -> None:
    """Warn of a limit that is too low for what the configuration allows."""
    needed = KINDS * (config.limits.in_flight + config.upstream.max_connections) + SPARE
    if needed > limit():
        message = f"{_RAISE}, or lower limits.in_flight and upstream.max_connections"
        log.warning("open_files_limit_low", needed=needed, limit=limit(), message=message)
