"""Callers that call again and again, while their upstream changes."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.gateway.worlds import CALLS
from tests.harness import Answer, Proxy, until


class Caller:
    """Calls again and again, each time under another id.

    Attributes:
        kind: of its calls (`worlds.CALLS`).
        answers: to each, by its id; None while it waits.
    """

    def __init__(self, kind: str, number: int) -> None:
        self.kind = kind
        self.answers: dict[str, Answer | None] = {}
        self._number = number

    def run(self, proxy: Proxy, over: threading.Event) -> None:
        method, path = CALLS[self.kind]
        while not over.is_set():
            request_id = f"{self._number}-{len(self.answers)}"
            self.answers[request_id] = None
            body = b"{}" if method == "POST" else None
            self.answers[request_id] = proxy.call(path, body, {"X-Request-ID": request_id}, method)


class Load:
    """Callers that call at the same time, one of each kind that is named."""

    def __init__(self, proxy: Proxy, kinds: Sequence[str]) -> None:
        self._proxy = proxy
        self._callers = [Caller(kind, number) for number, kind in enumerate(kinds)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()
        with ThreadPoolExecutor(len(self._callers)) as threads:
            running = [threads.submit(caller.run, self._proxy, over) for caller in self._callers]
            try:
                yield
            finally:
                over.set()
        for caller in running:
            caller.result()

    @property
    def answers(self) -> dict[str, Answer | None]:
        """The answer to each call, by its id."""
        return {request_id: answer for caller in self._callers for request_id, answer in caller.answers.items()}

    def ids(self, kind: str) -> set[str]:
        """Of the calls of a kind."""
        return {request_id for caller in self._callers if caller.kind == kind for request_id in caller.answers}

    def waiting(self) -> set[str]:
        """The ids of the last calls of each."""
        return {request_id for caller in self._callers for request_id in list(caller.answers)[-1:]}

    def until_each_gets(self, status: int) -> None:
        """Wait until each has got an answer with a status to a call that begins from now on."""
        begun = [len(caller.answers) for caller in self._callers]

        def has_got(caller: Caller, calls: int) -> bool:
            return any(answer and answer.status == status for answer in list(caller.answers.values())[calls:])

        until(lambda: all(map(has_got, self._callers, begun)))
