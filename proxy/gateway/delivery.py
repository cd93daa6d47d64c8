"""Whether the answer to a call reaches its caller.

A caller may half-close: end its side of the connection after its request, and still read the answer (RFC 9112, section
9.6). One that gave up and closed its socket looks the same, until the answer is sent: then its kernel sends a reset.
"""

import asyncio
import enum
import socket
import struct
from collections.abc import Callable

SILENCE = 5.0
"""Seconds without any acknowledgement after which the caller of a half-closed connection counts as gone."""

FIRST_LOOK, LONGEST_PAUSE = 0.001, 0.25
"""Seconds between two looks at the socket; each pause is twice as long as the one before."""

_TCP_INFO = struct.Struct("=24xI28xI")
"""From Linux's ``struct tcp_info``: segments in flight, and milliseconds since the last acknowledgement."""


class State(enum.Enum):
    """What is known about a caller."""

    WAITING = "its side of the connection is open"
    HALF_CLOSED = "it has ended its side: either it still reads, or it is gone"
    DELIVERED = "it had half-closed, and has acknowledged the answer"
    LOST = "it has reset the connection, or the answer could not be written"


class Delivery:
    """Whether the answer to one call reaches its caller.

    Attributes:
        state: what is known; `State.DELIVERED` and `State.LOST` are final.
    """

    def __init__(self) -> None:
        self.state = State.WAITING
        self._watchers: list[Callable[[State], None]] = []

    def watch(self, watcher: Callable[[State], None]) -> None:
        """Have something called with each new state, and at once unless the caller is just waiting."""
        self._watchers.append(watcher)
        if self.state is not State.WAITING:
            watcher(self.state)

    def becomes(self, state: State) -> None:
        """More is known about the caller."""
        if self.state in {State.DELIVERED, State.LOST}:
            return
        self.state = state
        for watcher in reversed(self._watchers):  # who waits here for the end of a call is told before its retry
            watcher(state)

    async def settled(self) -> None:
        """Wait until it is known whether a half-closed caller has the answer, which must have been sent."""
        if self.state is State.HALF_CLOSED:
            settled = asyncio.Event()
            self._watchers.append(lambda _: settled.set())
            await settled.wait()


async def acknowledged(transport: asyncio.Transport) -> bool:
    """Whether the other end takes what was written to a TCP connection that it has half-closed.

    The event loop reads no further after the end of the input, so a reset shows only here or in the next write.

    Returns:
        True once everything that was sent is acknowledged. False after a reset or a failed write, or where no
        acknowledgement comes for `SILENCE` seconds.
    """
    loop = asyncio.get_running_loop()
    started, pause = loop.time(), FIRST_LOOK
    while True:
        await asyncio.sleep(pause)
        if transport.is_closing():
            return False
        in_flight, silence, error = _look(transport.get_extra_info("socket"))
        if error:
            return False
        if not in_flight:  # what is not sent yet waits for a caller that is slow, but there
            return True
        if min(loop.time() - started, silence) > SILENCE:
            return False
        pause = min(2 * pause, LONGEST_PAUSE)


def _look(connection: socket.socket) -> tuple[int, float, int]:
    """Segments in flight, seconds since the last acknowledgement, and the error of the socket."""
    info = connection.getsockopt(socket.SOL_TCP, socket.TCP_INFO, _TCP_INFO.size)
    in_flight, silence = _TCP_INFO.unpack(info)
    return in_flight, silence / 1000, connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
