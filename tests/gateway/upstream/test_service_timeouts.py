import asyncio
from typing import Any

import pytest

from proxy.gateway.upstream.service_timeouts import ServiceTimeout, ServiceTimeouts
from tests.gateway.upstream.origin import run

SHORT = 0.02


async def expires(timeouts: ServiceTimeouts) -> None:
    """Wait until a time-out that was started now has expired."""
    with pytest.raises(TimeoutError), ServiceTimeout(timeouts):
        await asyncio.Event().wait()


def test_a_block_that_takes_too_long_is_a_time_out() -> None:
    run(expires(ServiceTimeouts(SHORT)))


def test_all_share_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        timers: list[float] = []
        call_at = loop.call_at

        def counted(when: float, *arguments: Any) -> asyncio.TimerHandle:
            timers.append(when)
            return call_at(when, *arguments)

        monkeypatch.setattr(loop, "call_at", counted)
        timeouts = ServiceTimeouts(60)
        for _ in range(3):
            with ServiceTimeout(timeouts), ServiceTimeout(timeouts):
                pass
        assert len(timers) == 1

    run(test())


def test_each_expires_though_the_timer_was_started_for_an_earlier_one() -> None:
    async def test() -> None:
        timeouts = ServiceTimeouts(SHORT)
        with ServiceTimeout(timeouts):
            pass
        timeouts.seconds = 3 * SHORT
        await expires(timeouts)
        await expires(timeouts)

    run(test())


def test_one_that_is_paused_does_not_expire() -> None:
    async def test() -> None:
        timeouts = ServiceTimeouts(SHORT)
        with ServiceTimeout(timeouts) as timeout:
            timeout.pause()
            await asyncio.create_task(expires(timeouts))
            timeout.restart()
            assert timeout in timeouts.due

    run(test())


def test_one_that_is_restarted_has_the_full_time_again() -> None:
    async def test() -> None:
        timeouts = ServiceTimeouts(60)
        with ServiceTimeout(timeouts) as first, ServiceTimeout(timeouts) as second:
            first.restart()
            assert timeouts.due[first] >= timeouts.due[second]

    run(test())


def test_one_whose_block_was_left_is_over() -> None:
    async def test() -> None:
        timeouts = ServiceTimeouts(SHORT)
        with ServiceTimeout(timeouts) as timeout:
            pass
        assert not timeouts.due
        timeout.restart()
        assert not timeouts.due

    run(test())


@pytest.mark.parametrize("expired_too", [False, True])
def test_a_cancellation_by_others_stays_one(expired_too: bool) -> None:
    async def test() -> None:
        timeouts = ServiceTimeouts(60)
        entered: list[ServiceTimeout] = []

        async def block() -> None:
            with ServiceTimeout(timeouts) as timeout:
                entered.append(timeout)
                await asyncio.Event().wait()

        task = asyncio.create_task(block())
        await asyncio.sleep(0)
        if expired_too:
            entered[0].expire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test())
