import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import errors
from proxy.config import Config
from proxy.gateway.call import retries
from proxy.gateway.call.retries import Retries, Try, key_of
from proxy.gateway.call.shared_tries import SharedTries
from proxy.gateway.delivery import Delivery, State
from proxy.gateway.metrics import Metrics
from proxy.withdrawn.trigger import LegacyResponse


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def a_run(name: str) -> LegacyResponse:
    return LegacyResponse(200, name.encode(), run=name, trigger_status="created")


class Callers:
    """Callers of one key, who hang up when told to."""

    def __init__(self, window: float = 60, *, patience: float = 20, waiting: int = 100) -> None:
        self.clock = Clock()
        shared = SharedTries(None, Metrics(Config()), window=window, longest=patience)
        self.retries = Retries(window, self.clock, patience=patience, waiting=waiting, shared=shared)

    def begin(self, key: bytes = b"key") -> Try:
        return self.retries.begin(key, Delivery())

    def lose(self, run: str | None, key: bytes = b"key") -> None:
        """A whole call whose caller has hung up before its answer."""
        with self.begin(key) as attempt:
            attempt.learn(State.LOST)
            attempt.run = a_run(run) if run is not None else None

    def retry(self, key: bytes = b"key") -> str | None:
        """The run that a new call takes over, and delivers."""

        async def takes() -> LegacyResponse | None:
            with self.begin(key) as attempt:
                attempt.run = await attempt.take_over()
                return attempt.run

        run = asyncio.run(takes())
        return run.run if run is not None else None


def test_a_lost_run_is_given_to_one_retry_only() -> None:
    callers = Callers()
    callers.lose("7")
    assert [callers.retry(), callers.retry()] == ["7", None]


def test_a_run_that_was_delivered_is_not_given_to_anybody() -> None:
    callers = Callers()
    with callers.begin() as attempt:
        attempt.run = a_run("7")
    attempt.learn(State.DELIVERED)
    attempt.learn(State.LOST)  # afterwards, as every caller does one day
    assert callers.retry() is None


def test_a_run_is_for_a_retry_if_its_caller_goes_before_the_response_is_sent() -> None:
    callers = Callers()
    with callers.begin() as attempt:
        attempt.run = a_run("7")
    attempt.learn(State.LOST)
    assert callers.retry() == "7"


def test_a_failure_is_not_handed_on() -> None:
    callers = Callers()
    callers.lose(None)
    assert callers.retry() is None


def test_a_run_is_kept_for_its_time_and_no_longer() -> None:
    callers = Callers(window=60)
    callers.lose("7")
    callers.lose("8")
    callers.clock.seconds = 59.9
    assert callers.retry() == "7"
    callers.clock.seconds = 60
    assert callers.retry() is None


def test_without_a_window_nothing_is_taken_over() -> None:
    async def joins() -> LegacyResponse | None:
        first, second = callers.begin(), callers.begin()
        with first, second:
            first.learn(State.LOST)
            return await asyncio.wait_for(second.take_over(), 20)

    callers = Callers(window=0)
    callers.lose("7")
    assert callers.retry() is None
    assert asyncio.run(joins()) is None


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "MAX_RUNS", 2)
    callers = Callers()
    for name in ("7", "8", "9"):
        callers.lose(name, key=name.encode())
    assert [callers.retry(name.encode()) for name in ("7", "8", "9")] == [None, "8", "9"]


def test_the_answers_that_are_kept_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "MAX_BYTES", 10)
    callers = Callers()
    for name in ("1111", "2222", "3333"):
        callers.lose(name, key=name.encode())
    assert [callers.retry(name.encode()) for name in ("1111", "2222")] == [None, "2222"]
    callers.lose("444444", key=b"444444")  # there is room again
    assert [callers.retry(name.encode()) for name in ("3333", "444444")] == ["3333", "444444"]


def test_nothing_stays_behind() -> None:
    callers = Callers()
    for _ in range(3):
        callers.lose("7")
        callers.lose(None)
        callers.retry()
    callers.clock.seconds = 1000
    callers.lose(None)
    callers.retry()
    empty = Callers().retries
    for name in ("_doubtful", "_stored", "_by_age", "_bytes"):
        assert getattr(callers.retries, name) == getattr(empty, name), name


def test_a_retry_waits_for_a_lost_try_and_its_own_retry_for_it() -> None:
    async def test() -> None:
        callers = Callers()
        first, second, third = (callers.begin() for _ in range(3))
        first.learn(State.LOST)
        waits = asyncio.create_task(second.take_over())
        await asyncio.sleep(0)
        second.learn(State.LOST)
        waits_too = asyncio.create_task(third.take_over())
        await asyncio.sleep(0)
        with first:
            first.run = a_run("7")
        with second:
            second.run = await waits
        assert (await waits_too) == a_run("7")
        assert callers.retries.take(b"key") is None

    asyncio.run(asyncio.wait_for(test(), 20))


def test_after_a_failure_a_retry_takes_over_the_next_lost_try() -> None:
    async def test() -> None:
        callers = Callers()
        first, second, third = (callers.begin() for _ in range(3))
        first.learn(State.LOST)
        second.learn(State.LOST)
        waits = asyncio.create_task(third.take_over())
        await asyncio.sleep(0)
        with first:
            pass
        await asyncio.sleep(0)
        with second:
            second.run = a_run("8")
        assert await waits == a_run("8")

    asyncio.run(asyncio.wait_for(test(), 20))


def test_two_retries_never_wait_for_each_other() -> None:
    async def test() -> None:
        callers = Callers()
        first, second, third = (callers.begin() for _ in range(3))
        first.learn(State.LOST)
        waits = asyncio.create_task(second.take_over())
        await asyncio.sleep(0)
        second.learn(State.LOST)
        waits_for_the_second = asyncio.create_task(third.take_over())
        await asyncio.sleep(0)
        third.learn(State.LOST)
        with first:
            pass
        assert await waits is None
        with second:
            second.run = a_run("8")
        assert await waits_for_the_second == a_run("8")

    asyncio.run(asyncio.wait_for(test(), 20))


def ends(attempt: Try, run: str | None, *then: State) -> None:
    """The answer of a call is ready; more is known about its caller afterwards."""
    with attempt:
        attempt.run = a_run(run) if run is not None else None
    for state in then:
        attempt.learn(state)


def half_closed(callers: Callers) -> Try:
    attempt = callers.begin()
    attempt.learn(State.HALF_CLOSED)
    return attempt


def in_time(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


async def waiting(attempt: Try) -> "asyncio.Task[LegacyResponse | None]":
    """A call that looks for a run, and has to wait."""
    task = asyncio.create_task(attempt.take_over())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not task.done()
    return task


@pytest.mark.parametrize(
    ("run", "then", "gets"),
    [
        ("7", [State.DELIVERED], None),
        ("7", [State.LOST], "7"),
        ("7", [State.DELIVERED, State.LOST], None),
        (None, [], None),
        (None, [State.LOST], None),
    ],
)
@pytest.mark.parametrize("meanwhile", [True, False])
def test_what_becomes_of_a_caller_that_half_closed_says_whose_its_run_is(
    run: str | None, then: list[State], gets: str | None, *, meanwhile: bool
) -> None:
    async def test() -> None:
        callers = Callers()
        first = half_closed(callers)
        if meanwhile:
            retry = await waiting(callers.begin())
            ends(first, run, *then)
            found = await retry
        else:
            ends(first, run, *then)
            found = await callers.begin().take_over()
        assert (found and found.run) == gets
        assert await callers.begin().take_over() is None

    in_time(test())


def test_a_retry_waits_until_the_answer_to_a_half_closed_caller_has_arrived() -> None:
    async def test() -> None:
        callers = Callers()
        first = half_closed(callers)
        ends(first, "7")
        retry = await waiting(callers.begin())
        first.learn(State.DELIVERED)
        assert await retry is None

    in_time(test())


def test_callers_that_half_close_wait_for_one_another_in_turn() -> None:
    async def test() -> None:
        callers = Callers()
        tries = [half_closed(callers) for _ in range(3)]
        second, third = await waiting(tries[1]), await waiting(tries[2])
        ends(tries[0], "7", State.DELIVERED)
        assert await second is None
        assert not third.done()
        ends(tries[1], "8", State.LOST)
        assert await third == a_run("8")

    in_time(test())


def test_a_run_that_is_lost_while_a_retry_waits_for_another_goes_to_that_retry() -> None:
    async def test() -> None:
        callers = Callers()
        first, second = half_closed(callers), half_closed(callers)
        retry = await waiting(callers.begin())
        ends(second, "8", State.LOST)
        ends(first, "7", State.DELIVERED)
        assert await retry == a_run("8")

    in_time(test())


def test_a_retry_that_waits_too_long_is_told_so_and_leaves_the_try_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        callers = Callers(patience=0.01)
        first = half_closed(callers)
        with pytest.raises(errors.Overloaded):
            await callers.begin().take_over()
        monkeypatch.setattr(callers.retries, "patience", 20)
        retry = await waiting(callers.begin())
        ends(first, "7", State.LOST)
        assert await retry == a_run("7")

    in_time(test())


def test_only_so_many_retries_may_wait() -> None:
    async def test() -> None:
        callers = Callers(waiting=1)
        first, second = half_closed(callers), half_closed(callers)
        retry = await waiting(callers.begin())
        with pytest.raises(errors.Overloaded):
            await callers.begin().take_over()
        ends(first, None)
        ends(second, None)
        assert await retry is None

    in_time(test())


@pytest.mark.parametrize("handed_over", [False, True])
def test_a_retry_that_is_cut_off_leaves_the_run_to_the_next(*, handed_over: bool) -> None:
    async def test() -> None:
        callers = Callers()
        first = half_closed(callers)
        retry = await waiting(callers.begin())
        if handed_over:
            ends(first, "7", State.LOST)
        retry.cancel()
        with pytest.raises(asyncio.CancelledError):
            await retry
        if not handed_over:
            ends(first, "7", State.LOST)
        assert await callers.begin().take_over() == a_run("7")

    in_time(test())


class Crowd:
    """Callers of one key, whose fates are decided one step at a time."""

    def __init__(self) -> None:
        self.callers = Callers()
        self.tries: list[Try] = []
        self.lost: list[Try] = []
        self.holders: dict[str, list[Try]] = {}
        self._answers: dict[Try, asyncio.Future[bool]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def comes(self, _: int) -> None:
        attempt = self.callers.begin()
        self.tries.append(attempt)
        self._answers[attempt] = asyncio.get_running_loop().create_future()
        self._tasks.append(asyncio.create_task(self._call(attempt)))

    async def _call(self, attempt: Try) -> None:
        with attempt:
            attempt.run = await attempt.take_over()
            if attempt.run is None and await self._answers[attempt]:
                attempt.run = a_run(str(len(self.holders)))
            if attempt.run is not None:
                self.holders.setdefault(attempt.run.run or "", []).append(attempt)

    def answers(self, number: int) -> None:
        self._answer(number, run=True)

    def fails(self, number: int) -> None:
        self._answer(number, run=False)

    def _answer(self, number: int, *, run: bool) -> None:
        if self.tries and not (answer := self._answers[self.tries[number % len(self.tries)]]).done():
            answer.set_result(run)

    def half_closes(self, number: int) -> None:
        self._learns(number, State.HALF_CLOSED)

    def is_lost(self, number: int) -> None:
        self._learns(number, State.LOST)

    def _learns(self, number: int, state: State) -> None:
        if self.tries:
            attempt = self.tries[number % len(self.tries)]
            if attempt.state in {retries.State.UNDER_WAY, retries.State.HALF_CLOSED}:
                if state is State.LOST:
                    self.lost.append(attempt)
                attempt.learn(state)

    async def settles(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def ends(self) -> None:
        """Answer all, who then have their answers unless they are lost already."""
        for number, attempt in enumerate(self.tries):
            self.answers(number)
            await self.settles()
            attempt.learn(State.DELIVERED)
            await self.settles()
        await asyncio.gather(*self._tasks)


STEPS = [Crowd.comes, Crowd.answers, Crowd.fails, Crowd.half_closes, Crowd.is_lost]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9)), max_size=30))
def test_whatever_happens_a_run_goes_on_only_from_those_that_are_lost_and_nobody_waits_for_ever(
    steps: list[tuple[Callable[[Crowd, int], None], int]],
) -> None:
    async def test() -> None:
        crowd = Crowd()
        for step, number in steps:
            step(crowd, number)
            await crowd.settles()
        await crowd.ends()
        for holders in crowd.holders.values():
            assert all(holder in crowd.lost for holder in holders[:-1])
            assert len(set(holders)) == len(holders)
        crowd.callers.clock.seconds = 1000
        assert crowd.callers.retries.take(b"key") is None
        assert crowd.callers.retries._doubtful == {}

    in_time(test())


@given(st.lists(st.tuples(st.sampled_from(["deliver", "lose", "fail"]), st.integers(0, 1)), max_size=12))
def test_no_run_is_ever_given_twice(history: list[tuple[str, int]]) -> None:
    callers, given_out, started = Callers(), Counter[str](), 0
    for fate, key in history:
        name = bytes([key])
        run = callers.retry(name)
        if run is not None:
            given_out[run] += 1
            continue
        started += 1
        if fate == "lose":
            callers.lose(str(started), name)
    assert all(count == 1 for count in given_out.values())


def test_calls_that_differ_in_anything_have_different_keys() -> None:
    calls = {(a, b, c) for a in (b"", b"x") for b in (b"/", b"/x") for c in (b"", b"x", b"\0")}
    assert len({key_of(b"key", *call) for call in calls}) == len(calls)
    assert len({key_of(key, b"x", b"/", b"x") for key in (b"key", b"another")}) == 2
