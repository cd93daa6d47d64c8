"""Limits how long the service may take."""

import asyncio
from types import TracebackType
from typing import Any, Self


class ServiceTimeouts:
    """Expires the time-outs of all calls with one timer: a timer for each call would cost more than the rest of it.

    Args:
        seconds: for which the service may keep a call waiting.

    Attributes:
        due: when each time-out whose clock runs expires, on the loop's clock.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.due: dict[ServiceTimeout, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, timeout: "ServiceTimeout", loop: asyncio.AbstractEventLoop) -> None:
        """Let a time-out expire after the full time from now."""
        due = self.due[timeout] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for timeout in [timeout for timeout, due in self.due.items() if due <= now]:
            timeout.expire()
        due = min(self.due.values(), default=None)
        self._timer = loop.call_at(due, self._expire) if due is not None else None


class ServiceTimeout:
    """A block that raises `TimeoutError` when its time is over, as that of `asyncio.timeout` does."""

    _task: asyncio.Task[Any] | None = None  # that runs the block
    _expired = False

    def __init__(self, timeouts: ServiceTimeouts) -> None:
        self._timeouts = timeouts

    def __enter__(self) -> Self:
        task: Any = asyncio.current_task()  # not None: a coroutine runs the block
        self._task = task
        self._cancelling = task.cancelling()
        self._timeouts.start(self, task.get_loop())  # asking for the running loop takes a system call each time
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._timeouts.due.pop(self, None)
        task, self._task = self._task, None
        if self._expired and task is not None:
            cancelled_by_others = task.uncancel() > self._cancelling
            if kind is asyncio.CancelledError and not cancelled_by_others:
                raise TimeoutError from error

    def restart(self) -> None:
        """Give the service the full time again, unless the block was left."""
        if self._task is not None:
            self._timeouts.start(self, self._task.get_loop())

    def pause(self) -> None:
        """Stop the clock while nobody waits for the service."""
        self._timeouts.due.pop(self, None)

    def expire(self) -> None:
        """Cancel the block."""
        self.pause()
        self._expired = True
        if self._task is not None:
            self._task.cancel()
