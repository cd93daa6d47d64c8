import asyncio
import errno
import socket
import struct
from collections.abc import Callable

import pytest

from proxy.gateway import delivery
from proxy.gateway.delivery import Delivery, State, acknowledged


@pytest.mark.parametrize("final", [State.DELIVERED, State.LOST])
def test_a_final_state_stays(final: State) -> None:
    delivery = Delivery()
    seen: list[State] = []
    delivery.watch(seen.append)
    for state in (State.HALF_CLOSED, final, State.HALF_CLOSED, State.LOST, State.DELIVERED):
        delivery.becomes(state)
    assert delivery.state is final
    assert seen == [State.HALF_CLOSED, final]


def test_a_watcher_that_comes_late_is_told_at_once() -> None:
    delivery, seen = Delivery(), list[State]()
    delivery.becomes(State.HALF_CLOSED)
    delivery.watch(seen.append)
    assert seen == [State.HALF_CLOSED]


def test_the_last_watcher_is_told_first() -> None:
    delivery, told = Delivery(), list[str]()
    for name in ("retry", "call"):
        delivery.watch(lambda _state, name=name: told.append(name))  # type: ignore[misc]
    delivery.becomes(State.LOST)
    assert told == ["call", "retry"]


def test_only_a_half_closed_caller_is_waited_for() -> None:
    async def scenario() -> None:
        delivery = Delivery()
        await delivery.settled()
        delivery.becomes(State.HALF_CLOSED)
        waiting = asyncio.create_task(delivery.settled())
        await asyncio.sleep(0)
        assert not waiting.done()
        delivery.becomes(State.DELIVERED)
        await waiting
        await delivery.settled()

    asyncio.run(asyncio.wait_for(scenario(), 20))


class Kernel(asyncio.Transport):
    """A connection on which nothing is ever acknowledged; a segment may come for each look at it."""

    family = socket.AF_INET

    def __init__(self, *, in_flight: int = 0, unsent: int = 0, comes: int = 0, error: int = 0) -> None:
        super().__init__({"socket": self})
        self._in_flight, self._unsent, self._comes, self._error = in_flight, unsent, comes, error
        self._received = 7

    def getsockopt(self, level: int, _option: int, size: int = 0) -> int | bytes:
        if level == socket.SOL_SOCKET:
            return self._error
        self._received += self._comes
        return struct.pack("=24xI112xII", self._in_flight, self._received, self._unsent)[:size]

    def is_closing(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("kernel", "taken"),
    [
        (Kernel(), True),
        (Kernel(error=errno.EPIPE), False),
        (Kernel(in_flight=1, error=errno.ECONNRESET), False),
        (Kernel(in_flight=1), False),
        (Kernel(unsent=9), False),
        (Kernel(in_flight=1, comes=1), True),
        (Kernel(unsent=9, comes=1), True),
    ],
    ids=["all taken", "taken, then reset", "reset", "no answer", "cannot be sent", "slow network", "slow reader"],
)
def test_the_kernel_knows_whether_an_answer_is_taken(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, *, taken: bool
) -> None:
    monkeypatch.setattr(delivery, "PATIENCE", 0.02)
    assert asyncio.run(asyncio.wait_for(acknowledged(kernel), 20)) is taken


class Pair(asyncio.Transport):
    """A connection over a real Unix socket, whose other end does something before each look at it."""

    def __init__(self, act: Callable[[socket.socket], object]) -> None:
        ours, self._theirs = socket.socketpair()
        super().__init__({"socket": ours})
        ours.setblocking(False)
        self._act = act
        for _ in range(100):
            ours.send(bytes(100))

    def is_closing(self) -> bool:
        self._act(self._theirs)
        return False


@pytest.mark.parametrize(
    ("act", "taken"),
    [
        (lambda theirs: theirs.recv(1 << 20, socket.MSG_DONTWAIT), True),
        (lambda theirs: theirs.recv(100), True),
        (lambda _: None, False),
        (lambda theirs: theirs.close(), False),
    ],
    ids=["all taken", "slow reader", "no reader", "closed unread"],
)
def test_of_a_unix_socket_it_knows_what_is_unread(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[socket.socket], object], *, taken: bool
) -> None:
    monkeypatch.setattr(delivery, "PATIENCE", 0.02)
    pair = Pair(act)
    with pair.get_extra_info("socket"), pair._theirs:
        assert asyncio.run(asyncio.wait_for(acknowledged(pair), 20)) is taken
