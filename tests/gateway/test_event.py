import asyncio

import pytest

from proxy.gateway.event import Event


def test_one_that_is_set_holds_nobody_up() -> None:
    event = Event(is_set=True)
    assert event.is_set()
    asyncio.run(event.wait())


def test_all_that_wait_go_on_once_it_is_set() -> None:
    async def scenario() -> None:
        event = Event(is_set=False)
        waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        event.set()
        await asyncio.gather(*waiting)

    asyncio.run(scenario())


def test_after_it_was_cleared_others_wait_again() -> None:
    async def scenario() -> None:
        event = Event(is_set=True)
        event.clear()
        first = asyncio.create_task(event.wait())
        await asyncio.sleep(0)
        event.set()
        event.clear()  # before the first goes on
        second = asyncio.create_task(event.wait())
        await first
        assert not second.done()
        event.set()
        await second

    asyncio.run(scenario())


def test_who_stops_waiting_does_not_disturb_the_others() -> None:
    async def scenario() -> None:
        event = Event(is_set=False)
        gone, stays = asyncio.create_task(event.wait()), asyncio.create_task(event.wait())
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        event.set()
        await stays

    asyncio.run(scenario())
