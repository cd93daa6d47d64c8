"""No forward without a record, whenever the process is killed."""

import contextlib
import functools
import http.client
import itertools
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.test_server import serving
from tests.harness import Proxy, Scrape, Upstream, held, until
from tests.sockets import links

KILLS = int(os.environ.get("KILLS", "5"))
"""How often the proxy is killed."""

_CALLERS = 8


class Load:
    """Callers that call again and again, each time under another request id, whatever becomes of it."""

    def __init__(self, proxy: Proxy, ids: Iterator[int]) -> None:
        self._proxy = proxy
        self._ids = ids
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(_CALLERS)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()

    def _call(self, number: int) -> None:
        path, method = [("/acme/shop/ci_workflows/build/trigger", "POST"), ("/acme/shop/cicd/runs", "GET")][number % 2]
        while not self._over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._proxy.call(path, None, {"X-Request-ID": f"id-{next(self._ids)}"}, method)


def forwarded(upstream: Upstream) -> Counter[str]:
    return Counter(request.all("x-request-id")[0] for request in upstream.received)


def test_every_call_that_was_forwarded_has_one_record_after_the_next_start(upstream: Upstream, tmp_path: Path) -> None:
    ids = itertools.count()
    for _ in range(KILLS):
        with serving(upstream.url, tmp_path) as running:
            before = len(upstream.received)
            with Load(running.proxy, ids).running():
                until(lambda before=before: len(upstream.received) > before + 30)  # type: ignore[misc]
                running.signal(signal.SIGKILL)
                running.exit_status()
    with serving(upstream.url, tmp_path) as running:
        assert running.proxy.call("/-/readyz", None, method="GET").status == 200
        records = Counter(record["request_id"] for record in running.proxy.records())
        outcomes = {record["outcome"] for record in running.proxy.records()}
    sent = forwarded(upstream)
    assert sent.most_common(1)[0][1] == 1
    assert records.most_common(1)[0][1] == 1
    assert sent.keys() <= records.keys()
    assert outcomes <= {"forwarded", "interrupted"}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_that_was_under_way_is_recorded_as_interrupted_and_counted(
    upstream: Upstream, tmp_path: Path, workers: int
) -> None:
    release = threading.Event()
    upstream.script = held(release)
    start = functools.partial(serving, upstream.url, tmp_path, workers=workers, admin="127.0.0.1:0")
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(start())
        running.call()
        assert upstream.arrived.wait(20)
        if workers == 1:
            running.signal(signal.SIGKILL)
            running.exit_status()
            running = stack.enter_context(start())
        else:
            [busy] = busy_workers(running.process.pid)
            os.kill(busy, signal.SIGKILL)
        [record] = until(running.proxy.records)
        assert (record["outcome"], record["status"], record["endpoint"]) == ("interrupted", 500, "trigger")
        assert record["caller"].startswith("token:")
        counted = until(lambda: Scrape(running.admin).calls())
        assert counted == {("trigger", "interrupted", "5xx"): 1}
        release.set()


def busy_workers(parent: int) -> list[int]:
    """The workers that have a connection to the upstream: a socket more than the others."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    sockets = {int(pid): sum(link.startswith("socket:") for link in links(int(pid))) for pid in children}
    most = max(sockets.values())
    return [pid for pid, count in sockets.items() if count == most]


def test_nothing_of_it_is_left_after_a_clean_end(upstream: Upstream, tmp_path: Path) -> None:
    shared = Path("/dev/shm")  # noqa: S108
    before = set(shared.glob("trigger-shim-*"))
    with serving(upstream.url, tmp_path) as running:
        assert running.call().answer() is not None
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
    assert {path for path in set(shared.glob("trigger-shim-*")) - before if path.stat().st_uid == os.geteuid()} == set()
