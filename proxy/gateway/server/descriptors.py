"""Descriptors: how many a process may have open, and what they are for."""

import contextlib
import resource
import sys

from proxy.config import Config
from proxy.output.diagnostics import log

SPARE = 64
"""Descriptors, at most, for what belongs to no call: sockets, files, pipes, the callers of the admin listener."""

KINDS = 2
"""Triggers and all other calls: each kind has the configured number of places, and of connections to the upstream."""

CALM = 30.0
"""Seconds in which nobody had to wait, after which a shortage is over."""

_RAISE = "raise the limit of open files (LimitNOFILE=, ulimit -n)"


class Shortage:
    """Says that callers have to wait for descriptors, and that it is over: not for each of them."""

    def __init__(self) -> None:
        self._last: float | None = None

    def felt(self, why: str, now: float) -> None:
        """Somebody has to wait."""
        if self._last is None:
            log.warning("connections_waiting", reason=why, limit=limit(), message=_RAISE)
        self._last = now

    def check(self, now: float) -> None:
        """Find out whether it is over; called about once a second."""
        if self._last is not None and now > self._last + CALM:
            self._last = None
            log.info("connections_resumed")


def raise_limit() -> None:
    """Allow this process, and those that it starts, as many as the system lets it.

    The lower limit that a login or a container begins with is for programs that use ``select``.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # the system has a say beyond the limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def limit() -> int:
    """How many this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else sys.maxsize


def places(config: Config) -> int:
    """How many connections of callers leave enough for the calls on them to be forwarded."""
    free = limit() - min(SPARE, limit() // 4)
    return max(free - KINDS * config.upstream.max_connections, free // 2)


def check_limit(config: Config) -> None:
    """Warn of a limit that is too low for what the configuration allows."""
    needed = KINDS * (config.limits.in_flight + config.upstream.max_connections) + SPARE
    if needed > limit():
        message = f"{_RAISE}, or lower limits.in_flight and upstream.max_connections"
        log.warning("open_files_limit_low", needed=needed, limit=limit(), message=message)
