"""Callers that make calls concurrently, or one after another."""

import contextlib
import http.client
import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tests.support.proxy import TRIGGER, Proxy
from tests.support.scrape import Scrape
from tests.support.waiting import until
from tests.support.wire import Answer

Call = tuple[str, str]
"""A method and a path."""

TRIGGERED: Call = ("POST", TRIGGER)

MORE = 20
"""How many answers `Load.more` waits for."""


class Caller:
    """Makes its calls in a loop, each time with another request ID.

    Attributes:
        calls: the calls.
        answers: by request ID; None if there is none, or none yet. Other threads copy it, since it grows.
    """

    def __init__(self, name: str, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.answers: dict[str, Answer | None] = {}
        self._name = name

    def run(self, proxy: Proxy, over: threading.Event, *, mortal: bool, pause: float) -> None:
        for number, (method, path) in enumerate(itertools.cycle(self.calls)):
            if over.wait(pause if number else 0):
                return
            request_id = f"{self._name}-{number}"
            body = b"{}" if method == "POST" else None
            self.answers[request_id] = None
            with contextlib.suppress(*((OSError, http.client.HTTPException) if mortal else ())):
                self.answers[request_id] = proxy.call(path, body, {"X-Request-ID": request_id}, method)


class Load:
    """Callers that make calls concurrently until they are stopped.

    Args:
        proxy: the proxy to call.
        callers: the calls of each caller.
        name: prefix of the request IDs.
        mortal: whether the proxy may be killed, so that calls may get no answer.
        pause: seconds that each caller waits between two calls.
    """

    def __init__(
        self,
        proxy: Proxy,
        callers: Sequence[Sequence[Call]],
        *,
        name: str = "call",
        mortal: bool = False,
        pause: float = 0,
    ) -> None:
        self._proxy = proxy
        self._mortal, self._pause = mortal, pause
        self._callers = [Caller(f"{name}-{number}", calls) for number, calls in enumerate(callers)]
        self._over = threading.Event()
        self._running: list[Future[None]] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(len(self._callers)) as threads:
            self._running = [
                threads.submit(caller.run, self._proxy, self._over, mortal=self._mortal, pause=self._pause)
                for caller in self._callers
            ]
            try:
                yield
            finally:
                self.stop()  # also if the block fails: perhaps since a caller did

    def stop(self) -> None:
        """Make no new calls, and wait for the last ones."""
        self._over.set()
        for caller in self._running:
            caller.result()

    @property
    def answers(self) -> dict[str, Answer | None]:
        """The answer to each call, by its request ID."""
        return {request_id: answer for caller in self._callers for request_id, answer in caller.answers.copy().items()}

    @property
    def answered(self) -> set[str]:
        """The request IDs of the calls that were answered with 200."""
        return {request_id for request_id, answer in self.answers.items() if answer and answer.status == 200}

    def ids(self, call: Call) -> set[str]:
        """The request IDs of the callers that make this call."""
        return {request_id for caller in self._callers if call in caller.calls for request_id in caller.answers.copy()}

    def more(self) -> None:
        """Wait for more answers."""
        target = len(self.answered) + MORE
        until(lambda: len(self.answered) >= target)

    def until_each_gets(self, status: int) -> None:
        """Wait until each caller has had an answer with this status to a call that it makes from now on."""
        begun = [len(caller.answers) for caller in self._callers]

        def has_got(caller: Caller, calls: int) -> bool:
            return any(answer and answer.status == status for answer in list(caller.answers.copy().values())[calls:])

        until(lambda: all(map(has_got, self._callers, begun)))


class Logged:
    """A proxy, and the calls that were made to it one after another."""

    def __init__(self, proxy: Proxy, admin: Proxy) -> None:
        self.calls: list[str] = []
        self._proxy = proxy
        self._admin = admin

    def call(self, times: int) -> list[str]:
        """Make some calls, and return their request IDs."""
        ids = [f"call-{number}" for number in range(len(self.calls), len(self.calls) + times)]
        for request_id in ids:
            assert self._proxy.call(headers={"X-Request-ID": request_id}).status == 200
        self.calls += ids
        return ids

    def counted(self) -> tuple[float, float]:
        """The number of records that were written, and of those that were not."""
        scrape = Scrape(self._admin)
        return scrape["caller_log_records_total"], scrape["caller_log_write_failures_total"]
