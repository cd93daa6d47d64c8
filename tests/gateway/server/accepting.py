"""An acceptor with limited room."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from proxy.gateway.server import listeners
from proxy.gateway.server.acceptor import Acceptor
from proxy.gateway.server.descriptors import Shortage
from tests.support.waiting import until

PATIENCE = 20


class Accepted(asyncio.Protocol):
    """A connection that has been accepted."""

    def __init__(self, accepted: "list[Accepted]") -> None:
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._accepted.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._accepted.remove(self)


class LimitedAcceptor:
    """An acceptor with limited room, and the connections that it accepted."""

    def __init__(self, room: float, tls: ssl.SSLContext | None = None, handshake: float = PATIENCE) -> None:
        self.accepted: list[Accepted] = []
        listener = listeners.loopback()
        self.address = listener.getsockname()
        self.shortage = Shortage()
        self.faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: self.faults.append(context))
        self.acceptor = Acceptor(
            listener,
            lambda: Accepted(self.accepted),
            lambda: room - len(self.accepted),
            self.shortage,
            tls=tls,
            handshake=handshake,
        )

    async def has(self, count: int) -> None:
        await eventually(lambda: len(self.accepted) == count)


async def eventually(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, condition)
