"""Accepts connections while there are descriptors for them.

asyncio's own servers have no limit. Without descriptors, they log a traceback for each waiting caller every second, and
no connection to the upstream can be made.
"""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable

from proxy.gateway.server.descriptors import Shortage
from proxy.gateway.server.proxy_protocol import Client

MAX_WAITING = 4096
"""Connections that may wait to be accepted: the default maximum of Linux."""

BATCH = 64
"""Connections that a process accepts at a time, unless it shares the socket with others."""

PAUSE = 0.1
"""Seconds before it tries again to accept waiting callers."""


class Acceptor:
    """Accepts the connections on a listening socket, from its construction until `close`.

    Args:
        listener: the socket, which `close` closes.
        protocol: makes the protocol of a connection.
        room: returns how many more connections are allowed.
        shortage: records that callers have to wait.
        client_of: reads from a connection, before TLS, for whom it was made; raises `OSError` if it was refused and
            closed. The result is passed to `protocol`. None if nothing is read, and nothing passed.
        tls: the context for TLS; None for plain HTTP.
        handshake: seconds that a TLS handshake may take.
        batch: connections to accept before other events are handled. With 1, processes that share the socket get about
            equal numbers, since a busy one is slower to accept again. With many, the first to wake gets them all.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[..., asyncio.Protocol],
        room: Callable[[], float],
        shortage: Shortage,
        *,
        tls: ssl.SSLContext | None,
        handshake: float,
        client_of: Callable[[socket.socket], Awaitable[Client | None]] | None = None,
        batch: int = BATCH,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._room = room
        self._shortage = shortage
        self.tls = tls
        self._handshake = handshake if tls is not None else None
        self._client_of = client_of
        self._batch = batch
        self._connecting: set[asyncio.Task[None]] = set()
        self._resuming: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept no more connections but those that wait: closing the socket would reset them."""
        self._loop.remove_reader(self._listener)
        if self._resuming is not None:
            self._resuming.cancel()
        with contextlib.suppress(OSError):  # none is waiting, or there are no descriptors
            for _ in range(MAX_WAITING):
                self._start(self._listener.accept()[0])
        self._listener.close()

    async def settle(self) -> None:
        """Wait until the connections that were accepted have their protocols."""
        await asyncio.gather(*self._connecting)

    def _resume(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        room = self._room() - len(self._connecting)
        if room <= 0:
            self._pause_accepting("too many connections")
            return
        for _ in range(int(min(room, self._batch))):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # none is waiting, or it has gone
                return
            except OSError as error:
                self._pause_accepting(error.strerror or type(error).__name__)
                return
            self._start(connection)

    def _start(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def _pause_accepting(self, why: str) -> None:
        self._shortage.report(why, self._loop.time())
        self._loop.remove_reader(self._listener)
        self._resuming = self._loop.call_later(PAUSE, self._resume)

    async def _connect(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it is gone already, was refused, or does not speak TLS
            protocol: Callable[[], asyncio.Protocol] = self._protocol
            if self._client_of is not None:
                protocol = functools.partial(self._protocol, await self._client_of(connection))
            await self._loop.connect_accepted_socket(
                protocol, connection, ssl=self.tls, ssl_handshake_timeout=self._handshake
            )
