"""Many calls, at once or one after the other."""

import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence

from tests.harness import Proxy, Scrape, until

MORE = 20
"""How many calls are some more."""


class Calls:
    """Calls that go on from several threads, each with a number of its own.

    Args:
        proxy: is called.
        workflows: which ones are triggered, in turn.

    Attributes:
        answered: the numbers of those that were answered.
    """

    THREADS = 3

    def __init__(self, proxy: Proxy, workflows: Sequence[str] = ("build",)) -> None:
        self.answered: list[str] = []
        self._proxy = proxy
        self._paths = itertools.cycle(f"/acme/shop/ci_workflows/{workflow}/trigger" for workflow in workflows)
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(self.THREADS)]

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Let those under way end, and begin no more."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def more(self) -> None:
        """Wait until some more were answered."""
        target = len(self.answered) + MORE
        until(lambda: len(self.answered) >= target)

    def _call(self) -> None:
        while not self._over.is_set():
            number = f"call-{next(self._numbers)}"
            assert self._proxy.call(next(self._paths), headers={"X-Request-Id": number}).status == 200
            self.answered.append(number)


class Logged:
    """A proxy with one worker, and what became of the calls that it had."""

    def __init__(self, proxy: Proxy, admin: Proxy) -> None:
        self.calls: list[str] = []
        self._proxy = proxy
        self._admin = admin

    def call(self, times: int) -> list[str]:
        """Call some times more, each under an id of its own."""
        ids = [f"call-{number}" for number in range(len(self.calls), len(self.calls) + times)]
        for request_id in ids:
            assert self._proxy.call(headers={"X-Request-ID": request_id}).status == 200
        self.calls += ids
        return ids

    def counted(self) -> tuple[float, float]:
        """How many records were written, and how many were not."""
        scrape = Scrape(self._admin)
        return scrape["caller_log_records_total"], scrape["caller_log_write_failures_total"]
