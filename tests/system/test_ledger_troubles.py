"""A PostgreSQL in trouble: no call fails, it is said once, and afterwards every call is counted once."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from proxy.callers.ledger import keeper, postgresql
from tests.support.detour import Detour, detour
from tests.support.disks import mounted
from tests.support.ledgers import is_created, stored_calls
from tests.support.load import TRIGGERED, Load
from tests.support.postgresql import Postgresql, initialized
from tests.support.processes import events, running
from tests.support.proxy import Proxy, proxy_for, watched
from tests.support.scrape import Scrape
from tests.support.serving import command
from tests.support.sockets import free_port
from tests.support.upstream import Upstream
from tests.support.waiting import PATIENCE, until

GONE = "trigger-shim: warning: ledger unavailable reason="
BACK = "trigger-shim: ledger available"

LIMITS = postgresql._LIMITS

PAUSE = 0.01
"""Seconds between two calls of a caller: more calls would find nothing more."""

WORKERS = 5 if "KILLS" in os.environ else 1
"""Of each of three proxies that start at the same time: five in `make soak`."""


class World(NamedTuple):
    """Attributes:
    running: what the server runs in; it can be closed, and entered again.
    """

    server: Postgresql
    running: contextlib.ExitStack
    way: Detour
    address: str
    folder: Path


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Postgresql, contextlib.ExitStack]]:
    """A running server, and what it runs in: each test leaves it running."""
    with initialized() as server, contextlib.ExitStack() as running:
        running.enter_context(server.started())
        yield server, running


@pytest.fixture
def world(cluster: tuple[Postgresql, contextlib.ExitStack], tmp_path: Path) -> Iterator[World]:
    server, running = cluster
    database = server.new_database().rpartition("/")[2]
    with detour(server.port) as way:
        yield World(server, running, way, f"postgresql://lead@127.0.0.1:{way.port}/{database}", tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "INTERVAL", 0.05)
    monkeypatch.setattr(keeper, "_LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(keeper, "_FLUSH", PATIENCE)  # on a busy machine, the last pass takes its time


Trouble = Callable[[World], contextlib.AbstractContextManager[None]]
"""A trouble that lasts while the block runs."""


@contextlib.contextmanager
def it_is_stopped(world: World) -> Iterator[None]:
    world.running.close()
    try:
        yield
    finally:
        world.running.enter_context(world.server.started())


@contextlib.contextmanager
def it_moves_to_another_port(world: World) -> Iterator[None]:
    world.running.close()
    world.server.port = free_port()
    world.running.enter_context(world.server.started())
    yield
    world.way.target = world.server.port


@contextlib.contextmanager
def its_connections_are_cut_and_refused(world: World) -> Iterator[None]:
    with psycopg.connect(world.server.address(), autocommit=True) as connection:
        name = world.address.rpartition("/")[2]
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        over = threading.Event()

        def cut() -> None:
            while not over.wait(0.1):  # one that was being made at that moment is only seen later
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

        cutting = threading.Thread(target=cut)
        cutting.start()
        try:
            yield
        finally:
            over.set()
            cutting.join()
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextlib.contextmanager
def all_its_connections_are_taken(world: World) -> Iterator[None]:
    with contextlib.ExitStack() as taken:
        # New ones come in first, whenever one is free.
        world.way.cut()
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                taken.enter_context(psycopg.connect(world.server.address()))
        yield


@contextlib.contextmanager
def its_table_is_locked(world: World) -> Iterator[None]:
    with psycopg.connect(world.server.address(world.address.rpartition("/")[2])) as connection:
        connection.execute("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE")
        yield


TROUBLES: list[tuple[Trouble, str]] = [
    (it_is_stopped, "file"),
    (it_is_stopped, "-"),
    (it_moves_to_another_port, "file"),
    (its_connections_are_cut_and_refused, "-"),
    (all_its_connections_are_taken, "file"),
    (its_table_is_locked, "-"),
]
"""Each trouble, with one way to count or the other: neither sees more of it than that a pass fails."""


@pytest.mark.parametrize(("trouble", "log"), TROUBLES)
def test_no_call_fails_and_all_are_counted_afterwards(
    upstream: Upstream, world: World, trouble: Trouble, log: str, stderr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_LIMITS", "SELECT set_config('statement_timeout', '300ms', true)")
    callers = {"log": str(world.folder / "callers.jsonl") if log == "file" else "-"}
    with watched(upstream.url, world.folder, ledger=world.address, callers=callers) as (proxy, admin):
        load = Load(proxy, [[TRIGGERED]] * 2, pause=PAUSE)
        with load.running():
            until(lambda: is_created(world.address))
            load.more()
            with trouble(world):
                load.more()  # or there may be nothing to write
                until(lambda: GONE in stderr.read_text())
                assert proxy.call("/-/readyz", None, method="GET").status == 200
                until(lambda: Scrape(admin)["ledger_failures_total"])  # counted after it was said
            until(lambda: BACK in stderr.read_text())
            # After the last pass, which a busy machine may make slow, there is none that would count the rest.
            monkeypatch.setattr(postgresql, "_LIMITS", LIMITS)
            load.more()

    assert {answer.status if answer else None for answer in load.answers.values()} == {200}
    assert stored_calls(world.address) == len(load.answers)
    lines = [line for line in stderr.read_text().splitlines() if "lost tries" not in line]
    gone, back = lines[::2], lines[1::2]  # on a busy machine it may be too slow more than once
    assert {line.partition('"')[0] for line in gone} == {GONE}
    assert all(line.endswith(": calls go on, and are counted once it is back") for line in gone)
    assert back == [BACK] * len(gone)


def test_a_slow_one_delays_nothing_but_the_counts(upstream: Upstream, world: World, stderr: Path) -> None:
    with proxy_for(upstream.url, world.folder, ledger=world.address) as proxy:
        load = Load(proxy, [[TRIGGERED]] * 2, pause=PAUSE)
        with load.running():
            until(lambda: is_created(world.address))
            world.way.delay = 0.1
            load.more()
            world.way.delay = 0.0

    assert {answer.status if answer else None for answer in load.answers.values()} == {200}
    assert stored_calls(world.address) == len(load.answers)
    assert stderr.read_text() == ""


def test_a_full_disk_loses_no_call(upstream: Upstream, world: World, tmp_path: Path, stderr: Path) -> None:
    disk = world.server.folder.parent / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "size=16m,mode=777", "none"):
        with psycopg.connect(world.server.address(), autocommit=True) as connection:
            world.server.own(disk)
            connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            connection.execute("CREATE DATABASE small TABLESPACE small")
        address = world.server.address("small")
        with proxy_for(upstream.url, tmp_path, ledger=address) as proxy:
            call(proxy, 5)
            until(lambda: stored_calls(address) == 5)
            with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                while filler.write(bytes(1 << 12)):
                    pass
            calls = 5
            while GONE not in stderr.read_text():
                call(proxy, 50, calls)
                calls += 50
            (disk / "filler").unlink()
            until(lambda: BACK in stderr.read_text())
            until(lambda: stored_calls(address) == calls)

        with psycopg.connect(world.server.address(), autocommit=True) as connection:
            connection.execute("DROP DATABASE small WITH (FORCE)")
            connection.execute("DROP TABLESPACE small")
    assert "No space left on device" in stderr.read_text()


def call(proxy: Proxy, count: int, begin: int = 0) -> None:
    """Make calls of as many callers."""
    for number in range(begin, begin + count):
        assert proxy.call(headers={"User-Agent": f"{'x' * 200}{number}"}).status == 200


def test_the_clocks_of_two_hosts_may_differ_by_an_hour(upstream: Upstream, world: World, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()

    def ahead() -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)

    with (
        proxy_for(upstream.url, folders[0], ledger=world.address) as one,
        proxy_for(upstream.url, folders[1], ahead, ledger=world.address) as other,
    ):
        for proxy in (one, other) * 10:
            assert proxy.call().status == 200
        until(lambda: stored_calls(world.address) == 20)


def test_processes_that_start_at_once_share_an_empty_ledger(upstream: Upstream, world: World, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    ports = [free_port() for _ in folders]
    with contextlib.ExitStack() as stack:
        for folder, port in zip(folders, ports, strict=True):
            folder.mkdir()
            listen = f"127.0.0.1:{port}"
            sections = {"ledger": world.address, "workers": WORKERS, "callers": {"log": "-"}}
            arguments = command(upstream.url, folder, listen=listen, **sections)
            stack.enter_context(started(arguments, folder))
        proxies = [Proxy("127.0.0.1", port, folder) for port, folder in zip(ports, folders, strict=True)]
        for proxy in proxies:
            until(lambda proxy=proxy: is_ready(proxy))  # type: ignore[misc]
        callers = [threading.Thread(target=call, args=(proxy, 10)) for proxy in proxies]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        until(lambda: stored_calls(world.address) == 30)
    assert [events((folder / "stderr").read_bytes()) for folder in folders] == [[]] * 3


@contextlib.contextmanager
def started(arguments: list[str], folder: Path) -> Iterator[None]:
    with (
        (folder / "stdout").open("wb") as output,
        (folder / "stderr").open("wb") as errors,
        running(subprocess.Popen(arguments, stdout=output, stderr=errors)),
    ):
        yield


def is_ready(proxy: Proxy) -> bool:
    with contextlib.suppress(OSError):
        return proxy.call("/-/readyz", None, method="GET").status == 200
    return False
