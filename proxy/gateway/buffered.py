"""Bounds what a process holds of requests, whoever sends them.

Everything that has arrived of a request and is not forwarded yet counts, and so does the body of a call that starts a
run until its response is ready. Beyond the limit, the largest requests that are still arriving are refused, of equal
ones the newest, until an eighth of the limit is free. Hence many large requests cannot crowd out small ones, and a
refusal costs little even if all callers send at once. If only complete requests are left, a further one is refused.
"""

import math
from collections.abc import Callable

from proxy import errors

UNCOUNTED = 4 << 10
"""Bytes of a request that are not counted. A connection takes more than that in any case."""

Problem = Callable[[], errors.ProxyError]


class Budget:
    """What all requests of a process may hold together.

    Args:
        limit: bytes.

    Attributes:
        total: bytes that are held.
    """

    def __init__(self, limit: float = math.inf) -> None:
        self.total = 0
        self._limit = limit
        self._holders: dict[Held, None] = {}  # the oldest first

    def change(self, held: "Held", by: int) -> None:
        """Count what a request holds more, or less if negative."""
        self.total += by
        if held.size:
            self._holders[held] = None
        else:
            self._holders.pop(held, None)
        if by > 0 and self.total > self._limit:
            self._make_room()
            if self.total > self._limit:
                held.refuse(_overloaded)

    def _make_room(self) -> None:
        arriving = [held for held in self._holders if held.is_arriving]
        arriving.sort(key=lambda held: held.size)
        while arriving and self.total > self._limit * 7 / 8:
            arriving.pop().refuse(_overloaded)


def _overloaded() -> errors.ProxyError:
    return errors.Overloaded("The proxy cannot hold more bytes of requests at present.", limit="buffered")


class Held:
    """What is held of one request.

    Attributes:
        size: bytes that count.
        is_arriving: more of the request is to come, so it can be refused.
        problem: makes the error that says why it is refused, or None. An error that was kept would keep the frames that
            it was raised in, and so the body, until the next full garbage collection.
    """

    __slots__ = ("_body", "_budget", "_input", "_kept", "_on_refusal", "is_arriving", "problem", "size")

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget = budget
        self.size = self._input = self._kept = 0
        self._body = bytearray()
        self._on_refusal: Callable[[], None] | None = None
        self.is_arriving = True
        self.problem: Problem | None = None

    def wait(self, size: int, on_refusal: Callable[[], None] | None = None) -> None:
        """Set how much waits to be received by the application.

        Args:
            size: bytes.
            on_refusal: called if the request is refused; None leaves it as it is.
        """
        self._input = size
        self._on_refusal = on_refusal or self._on_refusal
        self._update()

    def add(self, part: bytes) -> int:
        """Keep a part of the body for the application; it is freed at once if the request is refused.

        Returns:
            How many bytes of the body are kept.

        Raises:
            errors.ProxyError: the request is refused.
        """
        self._body += part
        self.keep(len(self._body))
        return self._kept

    def take(self) -> bytes:
        """Return the body that is kept. It still counts."""
        body = bytes(self._body)
        self._body.clear()
        return body

    def keep(self, size: int) -> None:
        """Set how much the application keeps, in bytes.

        Raises:
            errors.ProxyError: the request is refused.
        """
        self._kept = size
        self._update()
        if self.problem is not None:
            raise self.problem()

    def refuse(self, problem: Problem) -> None:
        """Refuse the request, and count it no more."""
        self.problem, on_refusal = problem, self._on_refusal
        self.release()
        if on_refusal is not None:
            on_refusal()

    def release(self) -> None:
        """Count the request no more."""
        self._input = self._kept = 0
        self._body.clear()
        self._on_refusal = None
        self._update()

    def _update(self) -> None:
        size = self._input + self._kept if self.problem is None else 0
        if size <= UNCOUNTED:
            size = 0
        if size != self.size and self._budget is not None:
            by, self.size = size - self.size, size
            self._budget.change(self, by)
