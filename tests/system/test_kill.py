"""No forward without a record, whenever the process is killed."""

import contextlib
import functools
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from proxy.callers.log.journal import journal_prefix, memory_folder
from tests.support.load import Load
from tests.support.scrape import Scrape
from tests.support.serving import serving
from tests.support.sockets import links
from tests.support.upstream import Upstream, held
from tests.support.waiting import until
from tests.system.worlds import CALLS

KILLS = int(os.environ.get("KILLS", "5"))
"""How often the proxy is killed."""

CALLERS = [[CALLS["trigger"]], [CALLS["relayed"]]] * 4


def forwarded(upstream: Upstream) -> Counter[str]:
    return Counter(request.all("x-request-id")[0] for request in upstream.received)


def test_every_call_that_was_forwarded_has_one_record_after_the_next_start(upstream: Upstream, tmp_path: Path) -> None:
    for life in range(KILLS):
        with serving(upstream.url, tmp_path) as running:
            before = len(upstream.received)
            with Load(running.proxy, CALLERS, name=f"life-{life}", mortal=True).running():
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
    with serving(upstream.url, tmp_path) as running:
        journals = f"{journal_prefix(str(running.proxy.log), '')}*"
        assert running.call().answer() is not None
        assert len(list(Path(memory_folder()).glob(journals))) == 1
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
    assert list(Path(memory_folder()).glob(journals)) == []
