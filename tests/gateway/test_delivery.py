import asyncio
import errno
import socket
import struct

import pytest

from proxy.gateway import delivery
from proxy.gateway.delivery import acknowledged


class Kernel(asyncio.Transport):
    """A connection on which nothing is ever acknowledged; a segment may come for each look at it."""

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
