"""Takes connections in, as far as there are descriptors for them.

asyncio's own servers do it without end: where none is left, they write a traceback for each caller who waits, again
every second, and connections to the upstream cannot be made.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from proxy.gateway.server.descriptors import Shortage

BATCH = 64
"""Connections that a process which shares its socket with no other takes in at a time."""

PAUSE = 0.1
"""Seconds before somebody who has to wait is looked for again."""


class Acceptor:
    """Accepts the connections on a listening socket, from its construction on.

    Args:
        listener: the socket; it is closed with this.
        protocol: makes what speaks on a connection.
        room: how many more connections there may be.
        shortage: is told of those who have to wait.
        tls: what to show to callers.
        handshake: seconds that they may take to agree on TLS.
        batch: connections that are taken in before those that there are have their turn. With one, processes that share
            the socket get about as many each, as who has more to do comes back later. With many, the first to wake gets
            them all.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        room: Callable[[], float],
        shortage: Shortage,
        *,
        tls: ssl.SSLContext | None,
        handshake: float,
        batch: int = BATCH,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._room = room
        self._shortage = shortage
        self._tls = tls
        self._handshake = handshake if tls is not None else None
        self._batch = batch
        self._connecting: set[asyncio.Task[None]] = set()
        self._resuming: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accept no more; who has been accepted stays."""
        self._loop.remove_reader(self._listener)
        if self._resuming is not None:
            self._resuming.cancel()
        self._listener.close()

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
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # nobody, or somebody who has left
                return
            except OSError as error:
                self._pause_accepting(error.strerror or type(error).__name__)
                return
            task = self._loop.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def _pause_accepting(self, why: str) -> None:
        self._shortage.report(why, self._loop.time())
        self._loop.remove_reader(self._listener)
        self._resuming = self._loop.call_later(PAUSE, self._resume)

    async def _connect(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it is gone again, or does not speak TLS
            await self._loop.connect_accepted_socket(
                self._protocol, connection, ssl=self._tls, ssl_handshake_timeout=self._handshake
            )
