"""Slow callers, many callers, and more callers than descriptors, before a proxy that is a process of its own."""

import asyncio
import contextlib
import io
import json
import os
import resource
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from proxy.gateway.server.protocol import HEAD_TIMEOUT
from tests.support.certificates import certified
from tests.support.processes import shown_lines
from tests.support.programs import lack
from tests.support.proxy import HEAD, Proxy
from tests.support.scrape import Scrape
from tests.support.serving import Serving, serving
from tests.support.sockets import links
from tests.support.upstream import Upstream, held
from tests.support.waiting import PATIENCE, until
from tests.support.wire import Answer, Wire, dripping, read_answer
from tests.support.workers import workers

CURRENT = "/repos/acme/shop/cicd/runs"
CALL = f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode()


class Crowded(NamedTuple):
    """A proxy, and the processes of it that hold connections."""

    running: Serving
    pids: list[int]

    @property
    def proxy(self) -> Proxy:
        return self.running.proxy

    def sockets(self) -> int:
        return sum(link.startswith("socket:") for pid in self.pids for link in links(pid))

    def memory(self) -> int:
        """Bytes that are resident."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids)
        return pages * os.sysconf("SC_PAGE_SIZE")

    def busy_for(self, seconds: float) -> float:
        """Seconds of processor time that it takes in so many."""
        before = self._processor_time()
        threading.Event().wait(seconds)
        return self._processor_time() - before

    def _processor_time(self) -> float:
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")

    def limit(self, count: int) -> None:
        """Set the limit of descriptors of each process."""
        for pid in self.pids:
            _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, most))

    def said(self, count: int = 0) -> list[str]:
        """Lines on standard error since the last look, once there are so many."""
        os.set_blocking(self.running.terminal, False)
        text = b""

        def lines() -> list[str]:
            # A terminal may pass on the end of a line after the line.
            return [line for line in shown_lines(text) if line]

        def enough() -> bool:
            nonlocal text
            with contextlib.suppress(BlockingIOError):
                while piece := os.read(self.running.terminal, 4096):
                    text += piece
            return len(lines()) >= count and text[-1:] in {b"", b"\n"}

        until(enough)
        return lines()


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def count(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@contextlib.contextmanager
def crowded(url: str, folder: Path, count: int, descriptors: str | None = None, **sections: Any) -> Iterator[Crowded]:
    sections = {"admin": "127.0.0.1:0", "workers": count, **sections}
    with serving(url, folder, descriptors=descriptors, **sections) as running:
        pids = until(lambda: workers(running.proxy, count))
        yield Crowded(running, pids)


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """As many descriptors for the callers that the tests play as may be had."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def needs(descriptors: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < descriptors:
        lack(f"a process may have only {most} descriptors", f"ulimit -Hn {descriptors}")


@contextlib.contextmanager
def connections(proxy: Proxy, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(proxy.connect()) for _ in range(count)]


# --- slow


BEGINNINGS = [
    HEAD.encode(),
    b"GET /",
    f"{HEAD}X-Slow: ".encode(),
    f"{HEAD}Content-Length: 9999\r\n\r\n{{".encode(),
    f"{HEAD}Transfer-Encoding: chunked\r\n\r\nffff\r\n{{".encode(),
    b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9999\r\n\r\n{",
]


def test_five_hundred_slow_connections_keep_nobody_waiting(upstream: Upstream, tmp_path: Path) -> None:
    needs(600)
    with (
        crowded(upstream.url, tmp_path, 2, limits={"in_flight": 100}) as crowding,
        connections(crowding.proxy, 500) as slow,
    ):
        until(lambda: Scrape(crowding.running.admin)["connections"] >= 500)
        began = time.monotonic()
        for number, connection in enumerate(slow):
            connection.sendall(BEGINNINGS[number % len(BEGINNINGS)])
        with dripping(slow):
            assert [crowding.proxy.call().status for _ in range(50)] == [200] * 50
            assert [crowding.proxy.call(CURRENT, None, method="GET").status for _ in range(50)] == [200] * 50
            # They have been there all the while, as long as a head may take.
            assert not answered(slow) or time.monotonic() - began > HEAD_TIMEOUT
        assert len(crowding.proxy.records()) == 50


def answered(callers: list[socket.socket]) -> list[int]:
    """The descriptors of those who have been answered, or cut off."""
    poll = select.poll()
    for caller in callers:
        poll.register(caller, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(0)]


# --- at once


class Told(NamedTuple):
    """What one of a crowd was told, and when, on the monotonic clock."""

    answer: Answer
    at: float


def crowd(proxy: Proxy, size: int) -> dict[str, Told]:
    """Calls at once, each on a connection of its own, by their request IDs."""

    async def all_of_them() -> list[Told]:
        async with asyncio.timeout(2 * PATIENCE):
            return await asyncio.gather(*(_one(proxy, f"crowd-{number}") for number in range(size)))

    told = asyncio.run(all_of_them())
    return {f"crowd-{number}": told[number] for number in range(size)}


async def _one(proxy: Proxy, request_id: str) -> Told:
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    writer.write(f"{HEAD}X-Request-Id: {request_id}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    answer = read_answer(io.BytesIO(await reader.read()))
    writer.close()
    return Told(answer, time.monotonic())


# Two workers with low limits are both full as soon as one with its usual limit is.
@pytest.mark.parametrize(("count", "limit", "size"), [(1, 1_024, 3_000), (2, 100, 500)])
def test_of_a_crowd_of_triggers_at_once_each_is_answered_and_recorded_once(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, limit: int, size: int
) -> None:
    needs(3_100)
    monkeypatch.setenv("TRIGGER_SHIM__UPSTREAM__KEEPALIVE", "0.5")
    # The upstream waits for the crowd here, and so do the calls that have no connection to it.
    monkeypatch.setenv("TRIGGER_SHIM__UPSTREAM__CONNECT_TIMEOUT", str(PATIENCE))
    monkeypatch.setenv("TRIGGER_SHIM__UPSTREAM__TIMEOUT", str(2 * PATIENCE))
    release = threading.Event()
    upstream.script = held(release)
    told: dict[str, Told] = {}
    with crowded(upstream.url, tmp_path, count, limits={"in_flight": limit}) as crowding:
        before = crowding.sockets()
        calling = threading.Thread(target=lambda: told.update(crowd(crowding.proxy, size)))
        calling.start()
        until(lambda: overloads(crowding) >= size - limit * count)
        assert crowding.running.admin.call("/healthz", None, method="GET").status == 200
        released = time.monotonic()
        release.set()
        calling.join(3 * PATIENCE)
        assert len(told) == size
        assert max(at for _, at in told.values()) < released + PATIENCE
        assert {answer.status for answer, _ in told.values()} == {200, 503}
        for answer, _ in told.values():
            assert answer.status == 200 or is_told_to_come_again(answer)
        outcomes = {
            request_id: {200: "forwarded", 503: "overloaded"}[told[request_id].answer.status] for request_id in told
        }
        recorded = [(record["request_id"], record["outcome"]) for record in crowding.proxy.records()]
        assert sorted(recorded) == sorted(outcomes.items())
        reached = [request.all("x-request-id")[0] for request in upstream.received]
        assert sorted(reached) == sorted(request_id for request_id in outcomes if outcomes[request_id] == "forwarded")
        assert crowding.proxy.call().status == 200
        until(lambda: crowding.sockets() <= before)
        said = crowding.said()
        # One for each worker that was full, however many calls it refused.
        assert 1 <= len(said) <= count
        assert {line.partition(": calls")[0] for line in said} == {
            "trigger-shim: warning: limit reached key=limits.in_flight"
        }


def overloads(crowding: Crowded) -> float:
    """How many calls have found no place, as the metrics have it."""
    return Scrape(crowding.running.admin).calls().get(("trigger", "overloaded", "5xx"), 0)


def is_told_to_come_again(answer: Answer) -> bool:
    error = answer.json()
    told = (answer.header("retry-after"), error["error_code"], error["details"]["run_started"])
    return told == ("1", "Overloaded", "no")


# --- idle


def test_nine_and_a_half_thousand_idle_connections_leave_room_for_calls(upstream: Upstream, tmp_path: Path) -> None:
    """One worker has them all; two would share them."""
    needs(9_600)
    with crowded(upstream.url, tmp_path, 1) as crowding:
        assert crowding.proxy.call().status == 200
        before = crowding.memory()
        with connections(crowding.proxy, 9_500) as idle:
            until(lambda: Scrape(crowding.running.admin)["connections"] >= 9_500)
            assert [crowding.proxy.call().status for _ in range(20)] == [200] * 20
            assert not answered(idle)
            assert crowding.memory() - before < 9_500 * 32 << 10
        until(lambda: Scrape(crowding.running.admin)["connections"] < 10)
        assert crowding.proxy.call().status == 200


def test_an_idle_connection_over_tls_sets_little_memory_aside(upstream: Upstream, tmp_path: Path) -> None:
    tls, trusting = certified(tmp_path)
    with serving(upstream.url, tmp_path, tls=tls) as running, contextlib.ExitStack() as stack:
        serves = Crowded(running, [running.process.pid])
        stack.enter_context(trusting.wrap_socket(running.proxy.connect(), server_hostname="127.0.0.1"))
        before = serves.memory()
        for _ in range(200):
            stack.enter_context(trusting.wrap_socket(running.proxy.connect(), server_hostname="127.0.0.1"))
        assert serves.memory() - before < 200 * 128 << 10


# --- out of descriptors

TOO_MANY = 'trigger-shim: warning: connections waiting reason="'
TOO_LOW = "trigger-shim: warning: open files limit low needed=3136 limit=160: "


def test_callers_who_take_every_descriptor_leave_enough_for_the_calls(
    upstream: Upstream, tmp_path: Path, count: int
) -> None:
    release = threading.Event()
    with (
        crowded(upstream.url, tmp_path, count, descriptors="160") as crowding,
        connections(crowding.proxy, 5) as kept,
    ):
        [warning] = crowding.running.announced[1:] or crowding.said(1)
        assert warning.startswith(TOO_LOW)
        assert [called_on(connection).status for connection in kept] == [200] * 5
        upstream.script = held(release)
        under_way = [crowding.running.call() for _ in range(5)]
        until(lambda: len(upstream.received) == 10)
        with connections(crowding.proxy, 400):
            line = f'{TOO_MANY}too many connections" limit=160: raise the limit of open files (LimitNOFILE=, ulimit -n)'
            assert crowding.said(count) == [line] * count
            assert crowding.busy_for(1) < 0.3
            assert Scrape(crowding.running.admin)["connections"] < 160 * count
            release.set()
            assert [answer.status for call in under_way if (answer := call.answer())] == [200] * 5
            assert [called_on(connection).status for connection in kept] == [200] * 5
        assert crowding.proxy.call().status == 200
        assert [record["outcome"] for record in crowding.proxy.records()] == ["forwarded"] * 16
        assert crowding.said() == []


def test_without_one_descriptor_more_the_calls_under_way_end_and_no_record_is_lost(
    upstream: Upstream, tmp_path: Path, count: int
) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with (
        crowded(upstream.url, tmp_path, count) as crowding,
        connections(crowding.proxy, 4) as under_way,
        connections(crowding.proxy, 2) as kept,
    ):
        for connection in under_way:
            connection.sendall(CALL)
        until(lambda: len(upstream.received) == 4)
        until(lambda: Scrape(crowding.running.admin)["connections"] == 6)
        crowding.limit(3)
        late = crowding.running.call()
        lines = crowding.said(count)
        assert [line.startswith(f'{TOO_MANY}Too many open files" ') for line in lines] == [True] * count
        assert crowding.busy_for(1) < 0.3
        for connection in kept:
            answer = called_on(connection)
            assert (answer.status, answer.json()["error_code"]) == (502, "UpstreamUnreachable")
            assert answer.json()["details"]["run_started"] == "no"
            assert "the proxy has too many files open" in answer.json()["message"]
        release.set()
        assert [Wire(connection).answer().status for connection in under_way] == [200] * 4
        outcomes = Counter(record["outcome"] for record in crowding.proxy.records())
        assert outcomes == {"unreachable": 2, "forwarded": 4}
        assert crowding.said() == []

        crowding.proxy.log.rename(tmp_path / "rotated.jsonl")
        status = called_on(kept[0]).status
        [line] = crowding.said(1)
        reason, _, record = line.partition(" record=")
        assert reason == 'trigger-shim: error: record not written reason="Too many open files"'
        assert json.loads(record)["status"] == status

        crowding.limit(1024)
        assert [answer.status for answer in [late.answer()] if answer] == [200]
        assert [record["status"] for record in crowding.proxy.records()] == [200]
        assert Scrape(crowding.running.admin)["caller_log_write_failures_total"] == 1
        assert len(upstream.received) == 4 + (status == 200) + 1
        # Of two workers, the other one may have the next record.
        assert set(crowding.said()) <= {"trigger-shim: caller log written again unwritten_records=1"}


def called_on(connection: socket.socket) -> Answer:
    """Make a call on a connection that is open."""
    connection.sendall(CALL)
    return Wire(connection).answer()


def test_the_proxy_takes_as_many_descriptors_as_the_system_allows(upstream: Upstream, tmp_path: Path) -> None:
    with crowded(upstream.url, tmp_path, 2, descriptors="160:4000") as crowding:
        assert {resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in crowding.pids} == {(4_000, 4_000)}
        assert crowding.said() == []
