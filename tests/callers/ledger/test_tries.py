import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from proxy.callers.ledger import schema, tries
from proxy.callers.ledger.tries import Known, Pulse, Snapshot, Tries
from proxy.withdrawn.trigger import LegacyResponse
from tests.support.ledgers import Connect

KEY = b"k" * 16
RUN = LegacyResponse(200, b"\0\xff{}", run="7", trigger_status="created", run_user="alice")


class Process:
    """One process, which makes each change in a transaction of its own."""

    def __init__(self, connect: Connect, name: str, window: float = 60) -> None:
        self.database = connect()
        schema.upgrade(self.database)
        self.tries = Tries(self.database, name, window, longest=100)

    def do(self, change: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with self.database.transaction(writes=True) as transaction:
            self.tries.beat(transaction)
            return change(self.tries, transaction, *arguments, **named)

    def snapshot(self) -> Snapshot:
        return tries.read(self.database)

    def row(self, number: int = 1) -> Known | None:
        return self.snapshot().rows.get(number)

    def publish(self, number: int, *, waits: bool = False) -> None:
        self.do(Tries.publish, number, KEY, waits=waits)

    def settled(self, number: int = 1) -> None:
        self.publish(number)
        self.do(Tries.settle, number, RUN)


@pytest.fixture
def one(connect: Connect) -> Process:
    return Process(connect, "one")


@pytest.fixture
def other(connect: Connect) -> Process:
    return Process(connect, "other")


def state(row: Known | None) -> tuple[str | None, str | None, bool] | None:
    return (row.owner, row.claimant, row.is_settled) if row is not None else None


def test_what_one_process_publishes_all_know(one: Process, other: Process) -> None:
    one.publish(1)
    one.publish(1)  # a commit of which nobody knew whether it was made is repeated
    one.publish(2)
    one.do(Tries.settle, 2, RUN)

    known = other.snapshot()
    assert [row.id for row in known.by_key[KEY]] == [1, 2]
    assert (state(known.rows[1]), state(known.rows[2])) == (("one", None, False), ("one", None, True))
    assert known.rows[1].published <= known.rows[2].published
    assert known.beats.keys() == {"one"}


def test_of_many_that_claim_a_run_at_once_one_gets_it(connect: Connect, one: Process) -> None:
    one.settled()
    processes = [Process(connect, f"process {number}") for number in range(8)]
    barrier = threading.Barrier(len(processes))

    def claim(process: Process) -> tuple[bool, LegacyResponse | None]:
        barrier.wait()
        return process.do(Tries.claim, 1), process.do(Tries.run_of, 1)

    with ThreadPoolExecutor(len(processes)) as threads:
        claims = list(threads.map(claim, processes))
    assert sorted(claims, key=lambda claim: claim[0]) == [(False, None)] * (len(processes) - 1) + [(True, RUN)]


def test_a_run_goes_to_who_claimed_it_while_its_call_was_under_way(one: Process, other: Process) -> None:
    one.publish(1)
    assert other.do(Tries.claim, 1)
    assert other.do(Tries.run_of, 1) is None
    one.do(Tries.settle, 1, RUN)
    assert not one.do(Tries.claim, 1)
    assert other.do(Tries.run_of, 1) == RUN


def test_a_run_that_was_delivered_is_gone(one: Process, other: Process) -> None:
    one.settled()
    other.do(Tries.claim, 1)
    one.do(Tries.remove, 1)  # which has no room for it, and does not know who has it
    assert state(other.row()) == ("one", "other", True)
    other.do(Tries.remove, 1)
    assert one.row() is None
    assert not one.do(Tries.claim, 1)


def test_a_call_that_has_no_run_for_anybody_is_gone_whoever_waits_for_it(one: Process, other: Process) -> None:
    one.publish(1)
    other.do(Tries.claim, 1)
    one.do(Tries.remove, 1)
    assert other.row() is None


def test_a_claim_that_is_given_up_is_for_the_next(one: Process, other: Process) -> None:
    one.settled()
    other.do(Tries.claim, 1)
    one.do(Tries.release, 1)  # it is not its own
    assert not one.do(Tries.claim, 1)
    other.do(Tries.release, 1)
    assert one.do(Tries.claim, 1)
    assert one.do(Tries.run_of, 1) == RUN


def test_a_run_that_was_taken_over_is_for_nobody_even_if_a_claim_that_came_late_is_given_up(
    one: Process, other: Process
) -> None:
    one.settled()
    other.do(Tries.claim, 1)
    one.do(Tries.consume, 1)  # it could not ask whether it may
    assert other.do(Tries.run_of, 1) == RUN
    other.do(Tries.release, 1)
    assert one.row() is None
    other.do(Tries.purge)
    assert not one.do(Tries.claim, 1)


def test_a_run_that_was_claimed_and_taken_over_is_gone(one: Process, other: Process) -> None:
    one.settled()
    other.do(Tries.claim, 1)
    other.do(Tries.consume, 1)
    assert not one.do(Tries.claim, 1)


def test_what_a_dead_process_had_claimed_is_free_and_of_its_calls_nobody_knows(one: Process, other: Process) -> None:
    other.settled(1)
    one.do(Tries.claim, 1)
    one.publish(2)
    one.settled(3)
    beat = other.snapshot().beats["one"]
    other.do(Tries.bury, "one", beat)

    rows = other.snapshot().rows
    assert {number: (row.claimant, row.is_orphan) for number, row in rows.items()} == {
        1: (None, False),
        2: (None, True),
        3: (None, False),
    }
    one.do(Tries.settle, 2, RUN)  # it was only slow
    assert other.do(Tries.claim, 2)
    assert other.do(Tries.run_of, 2) == RUN


def test_of_a_retry_that_waited_in_a_dead_process_nothing_is_left(one: Process, other: Process) -> None:
    one.publish(1, waits=True)
    one.publish(2, waits=True)
    one.do(Tries.forward, 2)
    one.publish(3, waits=True)
    one.do(Tries.settle, 3, RUN)
    assert [row.waits for row in other.snapshot().rows.values()] == [True, False, False]
    other.do(Tries.bury, "one", other.snapshot().beats["one"])
    assert {number: row.is_orphan for number, row in other.snapshot().rows.items()} == {2: True, 3: False}


def test_a_process_that_was_taken_for_dead_and_has_added_a_beat_keeps_what_it_has(one: Process, other: Process) -> None:
    one.publish(1)
    other.do(Tries.bury, "one", other.snapshot().beats["one"] - 1)
    assert state(other.row()) == ("one", None, False)


def test_a_process_that_has_left_can_be_buried(one: Process, other: Process) -> None:
    one.publish(1)
    one.do(Tries.leave)
    assert other.snapshot().beats == {}
    other.do(Tries.bury, "one", None)
    assert [row.is_orphan for row in other.snapshot().rows.values()] == [True]


def test_a_call_that_is_cut_off_is_one_of_which_nobody_knows(one: Process, other: Process) -> None:
    one.publish(1)
    one.settled(2)
    for number in (1, 2):
        one.do(Tries.abandon, number)
    assert [row.is_orphan for row in other.snapshot().rows.values()] == [True, False]


def test_what_is_too_old_is_not_seen_and_then_purged(connect: Connect, other: Process) -> None:
    other.settled(2)
    Process(connect, "one", window=-1).settled(1)
    known = other.snapshot()
    assert (list(known.rows), known.has_expired) == ([2], True)
    other.do(Tries.purge)
    assert not other.do(Tries.claim, 1)
    assert (list(other.snapshot().rows), other.snapshot().has_expired) == ([2], False)


def test_a_process_on_which_nothing_depends_is_forgotten_as_well(connect: Connect, one: Process) -> None:
    one.do(Tries.beat)
    with one.database.transaction(writes=True) as transaction:
        transaction.execute("UPDATE holders SET beat = beat - ?", [tries.FORGOTTEN + 1_000_000])
    other = Process(connect, "other")
    other.do(Tries.beat)
    assert (list(other.snapshot().beats), other.snapshot().has_expired) == (["other"], True)
    other.do(Tries.purge)
    assert not other.snapshot().has_expired


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def seen(owner: str | None, claimant: str | None, *, is_settled: bool = False, **beats: int) -> Snapshot:
    return Snapshot({1: Known(1, KEY, 0, owner, False, claimant, is_settled)}, {}, beats, has_expired=False)


def test_who_adds_no_beat_for_a_while_is_dead() -> None:
    clock = Clock()
    pulse = Pulse(10, clock)
    assert pulse.dead(seen("one", "other", one=5, other=5)) == []
    clock.seconds = 9
    assert pulse.dead(seen("one", "other", one=5, other=6)) == []
    clock.seconds = 10
    assert pulse.dead(seen("one", "other", one=5, other=6)) == [("one", 5)]
    clock.seconds = 19
    assert pulse.dead(seen("one", "other", one=3_600_000_005, other=6)) == [("other", 6)]


def test_what_could_not_be_seen_is_not_taken_for_silence() -> None:
    clock = Clock()
    pulse = Pulse(10, clock)
    pulse.dead(seen("one", None, one=5))
    clock.seconds = 30
    pulse.forget()
    assert pulse.dead(seen("one", None, one=5)) == []


def test_only_those_on_whom_something_depends_are_watched() -> None:
    clock = Clock()
    pulse = Pulse(10, clock)
    for clock.seconds in (0, 30):
        assert pulse.dead(seen("one", None, is_settled=True, one=5, other=5)) == []
    assert pulse.dead(seen(None, None, other=5)) == []


def test_who_has_left_and_comes_back_is_alive() -> None:
    clock = Clock()
    pulse = Pulse(10, clock)
    pulse.dead(seen("one", None))
    clock.seconds = 9
    assert pulse.dead(seen("one", None, one=5)) == []
    clock.seconds = 11
    assert pulse.dead(seen("one", None, one=5)) == []
