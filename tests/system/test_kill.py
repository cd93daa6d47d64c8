"""No forward without a record, whenever the process is killed."""

import contextlib
import functools
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from proxy.callers.ledger import engines
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.journal import journal_prefix, memory_folder
from proxy.callers.log.lives import Life
from tests.support.ledgers import stored_calls
from tests.support.load import Load
from tests.support.proxy import Proxy
from tests.support.scrape import Scrape
from tests.support.serving import command, serving
from tests.support.sockets import free_port, links
from tests.support.upstream import Upstream, held
from tests.support.waiting import until
from tests.system.worlds import CALLS

KILLS = int(os.environ.get("KILLS", "2"))
"""How often the proxy is killed: once after a clean start, and once after it was killed."""

CALLERS = [[CALLS["trigger"]], [CALLS["relayed"]]] * 4

PAUSE = 0.01
"""Seconds between two calls of a caller."""


def forwarded(upstream: Upstream) -> Counter[str]:
    return Counter(request.all("x-request-id")[0] for request in upstream.received)


def test_every_call_that_was_forwarded_has_one_record_and_is_counted_after_the_next_start(
    upstream: Upstream, tmp_path: Path, address: str
) -> None:
    start = functools.partial(serving, upstream.url, tmp_path, ledger=address)
    for life in range(KILLS):
        with start() as running:
            before = len(upstream.received)
            with Load(running.proxy, CALLERS, name=f"life-{life}", mortal=True, pause=PAUSE).running():
                until(lambda before=before: len(upstream.received) > before + 30)  # type: ignore[misc]
                running.signal(signal.SIGKILL)
                running.exit_status()
    with start() as running:
        assert running.proxy.call("/-/readyz", None, method="GET").status == 200
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
        records = Counter(record["request_id"] for record in running.proxy.records())
        outcomes = {record["outcome"] for record in running.proxy.records()}
    sent = forwarded(upstream)
    assert sent.most_common(1)[0][1] == 1
    assert records.most_common(1)[0][1] == 1
    assert sent.keys() <= records.keys()
    assert outcomes <= {"forwarded", "interrupted"}
    assert stored_calls(address) == len(records)
    assert [life.has_stopped for life in lives(address)] == [False] * KILLS + [True]


def lives(address: str) -> list[Life]:
    """The lives of all processes in a ledger, in order."""
    with contextlib.closing(Ledger(engines.connect(address, is_readonly=True))) as ledger, ledger.content() as content:
        return sorted(content.lives(), key=lambda life: life.begin)


@contextlib.contextmanager
def printing(url: str, folder: Path, address: str) -> Iterator[tuple["subprocess.Popen[bytes]", Proxy]]:
    """A proxy that writes its caller log to standard output, which is a file here."""
    port = free_port()
    callers = {"log": "-", "fingerprint_key": "k" * 32}
    arguments = command(url, folder, listen=f"127.0.0.1:{port}", callers=callers, ledger=address)
    with (folder / "stdout").open("ab") as output, subprocess.Popen(arguments, stdout=output) as process:
        proxy = Proxy("127.0.0.1", port, folder / "stdout")
        until(lambda: is_ready(proxy))
        yield process, proxy


def is_ready(proxy: Proxy) -> bool:
    with contextlib.suppress(OSError):
        return proxy.call("/-/readyz", None, method="GET").status == 200
    return False


# The log is standard output in containers, whose ledger is a server.
@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_what_a_killed_process_had_not_counted_is_a_gap_if_the_log_is_standard_output(
    upstream: Upstream, tmp_path: Path, address: str
) -> None:
    for number in range(KILLS):
        with printing(upstream.url, tmp_path, address) as (process, proxy):
            before, counted = len(upstream.received), stored_calls(address)
            with Load(proxy, CALLERS[:1], name=f"life-{number}", mortal=True, pause=PAUSE).running():
                until(lambda counted=counted: stored_calls(address) > counted)  # type: ignore[misc]
                until(lambda before=before: len(upstream.received) > before + 30)  # type: ignore[misc]
                process.kill()
                process.wait()
    with printing(upstream.url, tmp_path, address) as (process, proxy):
        process.terminate()
        process.wait()
    watched = {life.first.instance: life for life in lives(address)}
    calls = proxy.records()
    in_time = [
        call
        for call in calls
        if call["outcome"] == "interrupted" or datetime.fromisoformat(call["ts"]) <= watched[call["instance"]].seen
    ]

    assert stored_calls(address) == len(in_time)
    assert [life.has_stopped for life in watched.values()] == [False] * KILLS + [True]


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
