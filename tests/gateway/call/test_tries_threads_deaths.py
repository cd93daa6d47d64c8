"""Processes that die while they have lost tries or their runs."""

import asyncio

import pytest

from proxy import errors
from proxy.gateway.call import tries_threads
from proxy.gateway.delivery import State
from tests.support.fleet import Fleet, Leases, Process, ends, plays
from tests.support.ledgers import Connect


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries_threads, "BEAT", 0.02)
    monkeypatch.setattr(tries_threads, "POLL", 0.02)


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch) -> Leases:
    return Leases(monkeypatch)


def test_of_a_retry_that_dies_with_its_process_the_next_takes_the_place(connect: Connect, leases: Leases) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, third: Process) -> None:
        first = one.begin_lost()
        await other.knows(1)
        second = other.retry()
        await third.knows(1, lambda row: row.claimant)
        second.attempt.learn(State.LOST)
        await third.knows(2)
        last = third.retry()
        await third.knows(2, lambda row: row.claimant)  # it waits for the second one
        await other.killed()
        await leases.end(one, third)
        await third.knows(1, lambda row: row.claimant == third.shared._instance)
        ends(first, "7")
        assert await last.delivers() == "7"

    plays(connect, scenario)


@pytest.mark.parametrize("where", [0, 2])
def test_a_run_that_becomes_free_goes_to_the_retry_that_waits_and_not_past_it(
    connect: Connect, leases: Leases, where: int
) -> None:
    async def scenario(played: Fleet, one: Process, other: Process, third: Process) -> None:
        ends(one.begin_lost(), "7")
        await other.knows(1, lambda row: row.is_settled)
        other.retry()
        await third.knows(1, lambda row: row.claimant)
        await other.killed()
        second = third.retry()
        await second.waits()
        second.attempt.learn(State.LOST)
        await one.knows(1, lambda row: row.waits)
        last = played.processes[where].retry()
        await leases.end(one, third)
        assert await second.got() == "7"
        assert await last.delivers() == "7"

    plays(connect, scenario)


def test_who_waits_for_a_process_that_dies_is_told_that_a_run_may_have_started(
    connect: Connect, leases: Leases
) -> None:
    async def scenario(played: Fleet, one: Process, other: Process, third: Process) -> None:
        one.begin_lost()
        await other.knows(1)
        retry = other.retry()
        await third.knows(1, lambda row: row.claimant)
        await one.killed()
        await leases.end(other, third)
        with pytest.raises(errors.ConnectionLost) as caught:
            await retry.got()
        assert caught.value.run_started == "unknown"
        with pytest.raises(errors.ConnectionLost):  # so is the next one, until the window is over
            await third.retry().got()
        third.shared.remove(next(iter(played.rows())))

    plays(connect, scenario)


@pytest.mark.parametrize("is_settled", [False, True])
def test_a_run_whose_retry_dies_with_its_process_goes_to_the_next(
    connect: Connect, leases: Leases, *, is_settled: bool
) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, third: Process) -> None:
        first = one.begin_lost()
        if is_settled:
            ends(first, "7")
        await other.knows(1, lambda row: row.is_settled == is_settled)
        other.retry()
        await third.knows(1, lambda row: row.claimant)
        await other.killed()
        retry = third.retry()
        await leases.end(one, third)
        if not is_settled:
            await third.knows(1, lambda row: row.claimant == third.shared._instance)
            ends(first, "7")
        assert await retry.delivers() == "7"

    plays(connect, scenario)


def test_a_run_goes_back_to_its_own_process_if_its_retry_dies_elsewhere(connect: Connect, leases: Leases) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, third: Process) -> None:
        first = one.begin_lost()
        await other.knows(1)
        other.retry()
        await one.knows(1, lambda row: row.claimant)
        await other.killed()
        retry = one.retry()
        await leases.end(one, third)
        await one.knows(1, lambda row: row.claimant == one.shared._instance)
        ends(first, "7")
        assert await retry.delivers() == "7"

    plays(connect, scenario)


def test_a_slow_process_stays_alive(connect: Connect, leases: Leases) -> None:
    async def scenario(_: Fleet, one: Process, other: Process, third: Process) -> None:
        first = one.begin_lost()
        await other.knows(1)
        retry = other.retry()
        await third.knows(1, lambda row: row.claimant)
        await leases.end(one, other, third)
        ends(first, "7")
        assert await retry.delivers() == "7"

    plays(connect, scenario)


def test_a_call_that_is_cut_off_by_a_stop_may_have_started_a_run(connect: Connect) -> None:
    async def scenario(played: Fleet, one: Process, other: Process, third: Process) -> None:
        forwarded, never = one.begin_lost(), asyncio.Event()

        async def forward() -> None:
            with forwarded:
                assert await forwarded.take_over() is None
                await never.wait()

        task = asyncio.create_task(forward())
        await other.knows(1)
        task.cancel()
        await other.knows(1, lambda row: row.is_orphan)
        with pytest.raises(errors.ConnectionLost):
            await other.retry().got()
        third.shared.remove(next(iter(played.rows())))

    plays(connect, scenario)
