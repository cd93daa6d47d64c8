"""Limits how long the service may take."""

import asyncio
from types import TracebackType
from typing import Any, Self


class ServiceTimeouts:
    """Expires the time-outs of all calls with one timer: a timer for each call would cost more than the rest of it.

    Args:
        seconds: for which the service may keep a call waiting.

    Attributes:
        running: the time-outs whose clock runs.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running: set[ServiceTimeout] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, timeout: "ServiceTimeout") -> None:
        """Let a time-out expire after the full time from now."""
        loop = asyncio.get_running_loop()
        timeout.due = loop.time() + self.seconds
        self.running.add(timeout)
        if self._timer is None:
            self._timer = loop.call_at(timeout.due, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for timeout in [timeout for timeout in self.running if timeout.due <= now]:
            timeout.expire()
        due = min((timeout.due for timeout in self.running), default=None)
        self._timer = loop.call_at(due, self._expire) if due is not None else None


class ServiceTimeout:
    """A block that raises `TimeoutError` after the time is over, as `asyncio.timeout` does.

    Attributes:
        due: when it expires, on the loop's clock.
    """

    due: float

    def __init__(self, timeouts: ServiceTimeouts) -> None:
        self._timeouts = timeouts
        self._task: asyncio.Task[Any] | None = None  # that runs the block
        self._expired = False

    def __enter__(self) -> Self:
        self._task = task = asyncio.current_task()
        self._cancelling = task.cancelling() if task is not None else 0
        self._timeouts.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._timeouts.running.discard(self)
        task, self._task = self._task, None
        if self._expired and task is not None:
            cancelled_by_others = task.uncancel() > self._cancelling
            if kind is asyncio.CancelledError and not cancelled_by_others:
                raise TimeoutError from error

    def restart(self) -> None:
        """Give the service the full time again."""
        if self._task is not None:
            self._timeouts.add(self)

    def pause(self) -> None:
        """Stop the clock while nobody waits for the service."""
        self._timeouts.running.discard(self)

    def expire(self) -> None:
        """Cancel the block."""
        self.pause()
        self._expired = True
        if self._task is not None:
            self._task.cancel()
