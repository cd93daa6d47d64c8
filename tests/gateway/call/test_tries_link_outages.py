"""A ledger that is down, slow or full fails no call."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.callers.ledger.database import Database
from proxy.callers.ledger.postgresql import PostgresqlServer
from proxy.callers.ledger.sqlite import SqliteFile
from proxy.gateway.call import shared_tries, tries_link, tries_threads
from tests.support.fleet import Leases, Process, ends, fleet, happens
from tests.support.ledgers import Connect, connections
from tests.support.postgresql import initialized
from tests.support.waiting import PATIENCE


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries_threads, "RETRY", 0.05)
    monkeypatch.setattr(tries_threads, "POLL", 0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries_link, "GRACE", 0.1)


def is_blind(process: Process) -> bool:
    """Whether it has tried in vain to read the ledger."""
    return process.shared._link._watcher in process.shared._link._outage._failing


def threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("tries-")]
    return sorted(names[:2]) + sorted(names[2:])


@contextlib.contextmanager
def locked(database: Database) -> Iterator[None]:
    """Nobody else can change the tries during the block."""
    with database.transaction(writes=True) as transaction:
        if isinstance(database, PostgresqlServer):
            transaction.execute("LOCK TABLE holders, tries IN EXCLUSIVE MODE")
        yield


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_stopped_fails_no_call_and_is_caught_up_with(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(connect: Connect, server: contextlib.AbstractContextManager[None]) -> None:
        with contextlib.ExitStack() as running:
            running.enter_context(server)
            async with fleet(connect, 2) as played:
                one, other = played.processes
                ends(one.begin_lost(), "7")
                await other.knows(1, lambda row: row.is_settled)
                running.close()
                assert await other.retry().delivers() is None
                assert other.metrics.unshared == 1
                under_way = one.begin_lost()
                ends(one.begin_lost(), "8")
                assert {await one.retry().delivers() for _ in range(2)} == {"7", "8"}
                await happens(lambda: one.shared._link._outage.since and other.shared._link._outage.since)
                ends(one.begin_lost(), "9")
                assert one.metrics.unshared >= 1
                monkeypatch.setattr(tries_link, "GRACE", PATIENCE)
                running.enter_context(cluster.started())
                await happens(lambda: one.shared._link._outage.since is other.shared._link._outage.since is None)
                await other.shared._link.refresh()
                await other.knows(1, lambda row: row.is_settled)
                await other.knows(2)
                assert await other.retry().delivers() == "9"
                retry = other.retry()
                await one.knows(1, lambda row: row.claimant)
                ends(under_way, "10")
                assert await retry.delivers() == "10"
                await played.is_empty()

    with initialized() as cluster, connections(cluster.address()) as connect:
        asyncio.run(scenario(connect, cluster.started()))
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "internal error" in line] == []
    for event in ("lost tries not shared reason=", "lost tries shared again"):
        assert sum(event in line for line in lines) == 2, lines  # one of each process


def test_a_retry_that_waits_for_a_try_elsewhere_does_not_wait_for_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(connect: Connect, server: contextlib.AbstractContextManager[None]) -> None:
        with contextlib.ExitStack() as running:
            running.enter_context(server)
            async with fleet(connect, 2) as played:
                one, other = played.processes
                one.begin_lost()
                await other.knows(1)
                retry = other.retry()
                await one.knows(1, lambda row: row.claimant)
                monkeypatch.setattr(tries_link, "GRACE", 0.1)  # not before: a slow claim would be given up
                await other.shared._link.refresh()  # it waits anew, and no longer than that
                running.close()
                assert await retry.delivers() is None
                assert other.metrics.unshared == 1

    with initialized() as cluster, connections(cluster.address()) as connect:
        asyncio.run(scenario(connect, cluster.started()))


def test_nobody_is_taken_for_dead_because_the_ledger_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries_threads, "BEAT", 0.02)
    leases, beats = Leases(monkeypatch), threading.Event()

    async def scenario(connect: Connect, server: contextlib.AbstractContextManager[None]) -> None:
        with contextlib.ExitStack() as running:
            running.enter_context(server)
            async with fleet(connect, 2) as played:
                one, other = played.processes
                first = one.begin_lost()
                await other.knows(1)
                beat = one.shared._tries.beat
                monkeypatch.setattr(one.shared._tries, "beat", lambda to: beats.wait(PATIENCE) and beat(to))
                for _ in range(2):
                    await other.shared._link.refresh()  # it knows the last beat
                running.close()
                await happens(lambda: all(map(is_blind, played.processes)))
                leases.move(2)
                running.enter_context(cluster.started())
                await happens(lambda: other.shared._link.works)
                for _ in range(2):  # the second reads after the first was judged
                    await other.shared._link.refresh()
                await other.shared._link.ask(0, lambda _: None)  # anybody who is dead is buried by now
                beats.set()
                await happens(lambda: one.shared._link.works)
                retry = other.retry()
                await one.knows(1, lambda row: row.claimant)
                ends(first, "7")
                assert await retry.delivers() == "7"
                await played.is_empty()

    with initialized() as cluster, connections(cluster.address()) as connect:
        asyncio.run(scenario(connect, cluster.started()))


@pytest.mark.usefixtures("impatient")
def test_a_slow_ledger_holds_no_retry_up_for_long(connect: Connect) -> None:
    async def scenario() -> None:
        async with fleet(connect, 2) as played:
            one, other = played.processes
            ends(one.begin_lost(), "7")
            await other.knows(1, lambda row: row.is_settled)
            with locked(connect()):
                assert await one.retry().delivers() == "7"  # it need not ask to know the run
                assert await other.retry().delivers() is None
                assert (one.metrics.unshared, other.metrics.unshared) == (0, 1)
            # Either claim may be made first. Only that of the call that has the run removes it.
            await happens(lambda: not any(row.claimant for row in played.rows().values()))

    asyncio.run(scenario())


def test_what_waits_for_a_ledger_is_bounded(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_tries, "MAX_BACKLOG", 5)

    async def scenario() -> None:
        async with fleet(connect, 2) as played:
            one, other = played.processes
            await one.shared._link.refresh()  # the tables are there
            with locked(connect()):
                tries = [one.begin_lost() for _ in range(10)]
                assert one.metrics.unshared >= 4
                for number, attempt in enumerate(tries):
                    ends(attempt, str(number))
                assert one.shared._link._writer.backlog <= 2 * 6
            shared = sum(attempt.row is not None for attempt in tries)
            await other.knows(shared, lambda row: row.is_settled)
            assert {await one.retry().delivers() for _ in tries} == {str(number) for number in range(10)}
            await played.is_empty()

    asyncio.run(scenario())


@pytest.mark.usefixtures("impatient")
def test_a_ledger_that_cannot_be_opened_fails_nothing_and_delays_no_stop(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    async def scenario() -> None:
        process = Process(lambda: SqliteFile(tmp_path / "file" / "callers.db"))
        await happens(lambda: process.shared._link._outage.since)
        ends(process.begin_lost(), "7")
        assert await process.retry().delivers() == "7"
        assert process.metrics.unshared == 1
        began = time.monotonic()
        await process.shared.stop()
        assert time.monotonic() - began < tries_threads.STOP

    asyncio.run(scenario())
    [line] = capfd.readouterr().err.splitlines()
    assert "warning: lost tries not shared reason=" in line
    assert line.endswith("may start a second run")
    assert "/file" in line


def test_a_row_that_nobody_can_read_ends_no_thread(connect: Connect, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        database = connect()
        async with fleet(connect, 2) as played:
            one, other = played.processes
            await one.shared._link.refresh()
            with database.transaction(writes=True) as transaction:
                transaction.execute(
                    "INSERT INTO tries (id, key, published, expires, waits) VALUES (1, 'no', 1, 9000000000000000, 0)"
                )
            await happens(lambda: not other.shared._link.works)
            ends(one.begin_lost(), "7")
            with database.transaction(writes=True) as transaction:
                transaction.execute("DELETE FROM tries WHERE id = 1")
            await other.knows(1, lambda row: row.is_settled)
            await happens(lambda: other.shared._link.works)
            assert await other.retry().delivers() == "7"
            await played.is_empty()

    asyncio.run(scenario())
    assert "lost tries not shared reason=ValueError" in capfd.readouterr().err


def test_a_stop_writes_what_is_left_and_ends_both_threads(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries_threads, "STOP", PATIENCE)  # a busy machine is no slow ledger

    async def scenario() -> None:
        async with fleet(connect, 2) as played:
            one, other = played.processes
            before = threads()
            for number in range(400):  # in several transactions
                ends(one.begin_lost(), str(number))
            await one.shared.stop()
            assert (threads(), before) == (["tries-watcher", "tries-writer"], 2 * ["tries-watcher", "tries-writer"])
            await other.knows(400, lambda row: row.is_settled)

    asyncio.run(scenario())
