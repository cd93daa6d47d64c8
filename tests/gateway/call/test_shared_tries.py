import asyncio
from pathlib import Path

import pytest

from proxy.callers.ledger.database import Database, Row
from proxy.callers.ledger.sqlite import SqliteFile
from proxy.callers.ledger.tries import Known, Snapshot
from proxy.gateway.call import shared_tries
from proxy.gateway.call.shared_tries import SharedTries
from proxy.gateway.delivery import State
from tests.support.fleet import KEY, Counting, Fleet, Process, ends, fleet, happens, plays
from tests.support.ledgers import Connect


def test_a_lost_run_goes_to_one_retry_in_any_process(connect: Connect) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, third: Process) -> None:
        ends(one.begin_lost(), "7")
        await other.knows(1, lambda row: row.is_settled)
        retry = other.retry()
        assert await retry.delivers() == "7"
        assert other.shared._claimed  # until the response has left the process
        await third.knows(0)
        assert await third.retry().delivers() is None
        assert await one.retry().delivers() is None
        assert (other.metrics.taken_over, one.metrics.taken_over, one.metrics.unshared) == (1, 0, 0)

    plays(connect, scenario)


def test_a_run_that_goes_to_a_retry_in_its_own_process_goes_to_no_other(connect: Connect) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, __: Process) -> None:
        ends(one.begin_lost(), "7")
        await other.knows(1, lambda row: row.is_settled)
        retry = one.retry()
        assert await retry.got() == "7"
        await other.knows(1, lambda row: row.claimant)
        waits = other.retry()
        await waits.waits()
        retry.attempt.learn(State.DELIVERED)
        assert await waits.delivers() is None
        assert one.metrics.taken_over == 0

    plays(connect, scenario)


@pytest.mark.parametrize("rivals", [2, 9])
def test_of_retries_in_several_processes_one_gets_the_run(connect: Connect, rivals: int) -> None:
    async def scenario(_: Fleet, *processes: Process) -> None:
        ends(processes[0].begin_lost(), "7")
        for process in processes:
            await process.knows(1, lambda row: row.is_settled)
        retries = [processes[number % 3].retry() for number in range(rivals)]
        runs = await asyncio.gather(*(retry.delivers() for retry in retries))
        assert sorted(run or "" for run in runs) == [""] * (rivals - 1) + ["7"]

    plays(connect, scenario)


@pytest.mark.parametrize(("run", "then", "gets"), [("7", None, "7"), (None, None, None), ("7", State.DELIVERED, None)])
def test_a_retry_waits_for_a_try_under_way_in_another_process(
    connect: Connect, run: str | None, then: State | None, gets: str | None
) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, __: Process) -> None:
        first = one.begin()
        first.learn(State.HALF_CLOSED)
        await other.knows(1)
        retry = other.retry()
        await one.knows(1, lambda row: row.claimant)
        ends(first, run)
        if run is not None:
            await retry.waits()
            first.learn(then or State.LOST)
        assert await retry.delivers() == gets

    plays(connect, scenario)


def test_a_retry_that_is_lost_as_well_leaves_the_run_to_the_next(connect: Connect) -> None:
    async def scenario(played: Fleet, one: Process, other: Process, third: Process) -> None:
        ends(one.begin_lost(), "7")
        await other.knows(1, lambda row: row.is_settled)
        retry = other.retry()
        assert await retry.got() == "7"
        retry.attempt.learn(State.LOST)
        await third.knows(1, lambda row: row.is_settled and not row.claimant)
        assert len(played.rows()) == 1
        assert await third.retry().delivers() == "7"

    plays(connect, scenario)


def test_a_retry_of_a_retry_that_waits_and_is_lost_gets_the_run_from_that(connect: Connect) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, third: Process) -> None:
        first = one.begin_lost()
        await other.knows(1)
        second = other.retry()
        await third.knows(1, lambda row: row.claimant)
        second.attempt.learn(State.HALF_CLOSED)
        await third.knows(2)
        last = third.retry()
        await one.knows(2, lambda row: row.claimant)
        ends(first, "7")
        assert await second.got() == "7"
        await last.waits()
        second.attempt.learn(State.LOST)
        assert await last.delivers() == "7"

    plays(connect, scenario)


def test_a_local_retry_that_waits_has_the_run_before_one_elsewhere_that_waits_for_it(connect: Connect) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, __: Process) -> None:
        first = one.begin_lost()
        second = one.retry()
        await second.waits()
        second.attempt.learn(State.LOST)
        await other.knows(2)
        await other.knows(1, lambda row: row.claimant)
        last = other.retry()
        await other.knows(2, lambda row: row.claimant)
        ends(first, "7")
        assert await second.got() == "7"
        assert await last.delivers() == "7"

    plays(connect, scenario)


def test_a_local_retry_leaves_a_try_to_one_elsewhere_that_waits_already(connect: Connect) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, __: Process) -> None:
        first = one.begin_lost()
        await other.knows(1)
        retry = other.retry()
        await other.knows(1, lambda row: row.claimant)
        late = one.retry()
        assert await late.delivers() is None  # once it is known that the other process is alive
        ends(first, "7")
        assert await retry.delivers() == "7"

    plays(connect, scenario)


def test_a_retry_waits_only_for_tries_from_before_its_caller_was_in_doubt(connect: Connect) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, third: Process) -> None:
        first = one.begin_lost()
        await other.knows(1)
        second = other.retry()
        await third.knows(1, lambda row: row.claimant)
        second.attempt.learn(State.LOST)
        await third.knows(2)
        last = third.retry()
        await third.knows(2, lambda row: row.claimant)
        last.attempt.learn(State.LOST)
        await other.knows(3)
        ends(first, None)
        assert await second.got() is None  # it does not wait for the last one, which waits for it
        assert await last.got() is None

    plays(connect, scenario)


def test_a_retry_that_has_nothing_to_wait_for_is_a_try_like_any_other(connect: Connect) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, third: Process) -> None:
        first = one.begin_lost()
        await other.knows(1)
        second = other.retry()
        await third.knows(1, lambda row: row.claimant)
        second.attempt.learn(State.HALF_CLOSED)
        await third.knows(1, lambda row: row.waits)
        ends(first, None)
        assert await second.got() is None
        second.attempt.learn(State.DELIVERED)

    plays(connect, scenario)


@pytest.mark.parametrize("is_done", [False, True])
def test_a_retry_that_is_cut_off_leaves_the_run_to_the_next(connect: Connect, *, is_done: bool) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, third: Process) -> None:
        first = one.begin_lost()
        if is_done:
            ends(first, "7")
        await other.knows(1, lambda row: row.is_settled == is_done)
        retry = other.retry()
        await retry.waits()
        if not is_done:
            await third.knows(1, lambda row: row.claimant)
        retry.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await retry.task
        if not is_done:
            ends(first, "7")
        await third.knows(1, lambda row: row.is_settled and not row.claimant)
        assert await third.retry().delivers() == "7"

    plays(connect, scenario)


def test_a_local_retry_that_is_cut_off_while_it_claims_leaves_the_run(connect: Connect) -> None:
    async def scenario(_: Fleet, one: Process, __: Process, ___: Process) -> None:
        ends(one.begin_lost(), "7")
        retry = one.retry()
        await asyncio.sleep(0)  # now it claims; two steps later it may have the run
        retry.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await retry.task
        assert await one.retry().delivers() == "7"

    plays(connect, scenario)


def test_a_response_that_is_too_large_is_not_shared(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_tries, "MAX_BODY", 2)

    async def scenario(_: Fleet, one: Process, other: Process, __: Process) -> None:
        first = one.begin_lost()
        await other.knows(1)
        retry = other.retry()
        await one.knows(1, lambda row: row.claimant)
        ends(first, "777")
        assert await retry.delivers() is None
        assert one.metrics.unshared == 1
        assert await one.retry().delivers() == "777"

    plays(connect, scenario)


def test_a_run_that_no_longer_has_room_is_gone_for_all(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.gateway.call.retries.MAX_RUNS", 1)

    async def scenario(_: Fleet, one: Process, other: Process, __: Process) -> None:
        ends(one.begin_lost(), "7")
        last = one.begin_lost()
        ends(last, "8")
        # At first, there may be only the other one.
        await happens(lambda: list(other.shared._link.snapshot.rows) == [last.row])
        assert await other.retry().delivers() == "8"

    plays(connect, scenario)


def test_a_run_that_nobody_wants_is_purged_after_its_time(connect: Connect) -> None:
    async def scenario() -> None:
        database = connect()
        async with fleet(connect, 2) as played:
            one, other = played.processes
            one.shared._tries._window = 300_000  # which begins with the end of the call
            first = one.begin_lost()
            await other.knows(1)
            ends(first, "7")
            await other.knows(0)
            await happens(lambda: not stored(database))
            assert await other.retry().delivers() is None

    asyncio.run(scenario())


def stored(database: Database) -> list[Row]:
    with database.transaction(writes=False) as transaction:
        return list(transaction.fetch("SELECT id FROM tries"))


def test_without_a_ledger_nothing_is_shared() -> None:
    async def scenario() -> None:
        process = Process(None)
        ends(process.begin_lost(), "7")
        assert await process.retry().delivers() == "7"
        assert process.metrics.unshared == 0
        await process.shared.stop()

    asyncio.run(scenario())


def test_what_was_published_before_a_retry_that_waits_is_for_that_one(tmp_path: Path) -> None:
    shared = SharedTries(lambda: SqliteFile(tmp_path / "callers.db"), Counting(), window=60, longest=100)
    run, retry, later = (
        Known(number, KEY, number, owner, waits, None, owner is None)
        for number, owner, waits in ((1, None, False), (2, "other", True), (3, "other", False))
    )
    shared._link.snapshot = Snapshot({row.id: row for row in (run, retry, later)}, {}, {}, has_expired=False)
    shared.known = {KEY: [run, retry, later]}
    assert [list(shared.queue(KEY, own)) for own in (None, 2, 3)] == [[retry, later], [run], [retry]]
    assert [shared.is_awaited(KEY, own) for own in (None, 2, 3)] == [True, False, True]
    assert not shared.is_awaited(b"another", None)


def test_nothing_is_opened_before_the_start(tmp_path: Path) -> None:
    path = tmp_path / "callers.db"
    shared = SharedTries(lambda: SqliteFile(path), Counting(), window=60, longest=100)
    assert shared.publish(KEY, waits=False) is None
    assert not path.exists()
