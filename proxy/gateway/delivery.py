"""Whether the response to a call reaches its caller.

A caller may half-close: end its side of the connection after its request, and still read the response (RFC 9112,
section 9.6). A caller that has gone looks the same until the response is sent; then its kernel sends a reset.
"""

import asyncio
import enum
import fcntl
import socket
import struct
import termios
from collections.abc import Callable

PATIENCE = 5.0
"""Seconds for which a half-closed caller is watched. If nothing arrives from it by then, it counts as gone."""

FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.25
"""Seconds between two looks at the socket; each pause is twice the one before."""

_TCP_INFO = struct.Struct("=24xI112xII")
"""Linux's ``struct tcp_info``: segments in flight, segments received, and bytes not sent yet."""

_UNREAD = struct.Struct("i")
_MOST_UNREAD = 1 << 31
"""Bytes that the other end of a Unix socket has yet to read."""


class State(enum.Enum):
    """What is known about a caller."""

    WAITING = "its side of the connection is open"
    HALF_CLOSED = "its side is closed: it may still read, or be gone"
    DELIVERED = "the response was sent, and acknowledged if it had half-closed"
    LOST = "it has reset the connection, or the response could not be written"


# Python 3.11 takes 0.1 µs to look up a member.
_WAITING, _, _DELIVERED, _LOST = State


class Delivery:
    """Whether the response to one call reaches its caller.

    Attributes:
        state: what is known about the caller; `State.DELIVERED` and `State.LOST` are final.
    """

    def __init__(self) -> None:
        self.state = State.WAITING
        self._watchers: list[Callable[[State], None]] = []

    def watch(self, watcher: Callable[[State], None]) -> None:
        """Have a function called with each new state, and at once if the state is not `State.WAITING`."""
        self._watchers.append(watcher)
        if self.state is not State.WAITING:
            watcher(self.state)

    def becomes(self, state: State) -> None:
        """Change the state, unless it is final."""
        if self.state is _DELIVERED or self.state is _LOST:
            return
        self.state = state
        for watcher in reversed(self._watchers):  # the end of the call itself comes before its retry
            watcher(state)

    def sent(self) -> None:
        """Note that the response was sent. A caller that has half-closed has yet to acknowledge it."""
        if self.state is _WAITING:
            self.becomes(_DELIVERED)

    async def settled(self) -> None:
        """Wait until it is known whether a half-closed caller has the response, which must have been sent."""
        if self.state is State.HALF_CLOSED:
            settled = asyncio.Event()
            self._watchers.append(lambda _: settled.set())
            await settled.wait()


async def acknowledged(transport: asyncio.Transport) -> bool:
    """Whether the other end of a connection that it has half-closed receives what was written.

    The event loop does not read after the end of the input, so a reset shows only here or in the next write.

    Returns:
        True once everything is acknowledged, or read, if it is a Unix socket. After `PATIENCE`, whether anything has
        arrived from the other end, or was read: then it only reads slowly. False after a reset or a failed write.
    """
    loop = asyncio.get_running_loop()
    pause, before, until = FIRST_PAUSE, 0, 0.0
    while True:
        await asyncio.sleep(pause)
        if transport.is_closing():
            return False
        in_flight, received, unsent, error = _look(transport.get_extra_info("socket"))
        if error or not (in_flight or unsent):
            return not error
        if not before:
            before, until = received, loop.time() + PATIENCE
        elif loop.time() > until:
            return received > before
        pause = min(2 * pause, LONGEST_PAUSE)


def _look(connection: socket.socket) -> tuple[int, int, int, int]:
    """The numbers of `_TCP_INFO`, and the error of the socket."""
    if connection.family == socket.AF_UNIX:
        [unread] = _UNREAD.unpack(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(_UNREAD.size)))
        in_flight, received, unsent = unread, _MOST_UNREAD - unread, 0  # there is nothing else to count
    else:
        info = connection.getsockopt(socket.SOL_TCP, socket.TCP_INFO, _TCP_INFO.size)
        in_flight, received, unsent = _TCP_INFO.unpack(info)
    return in_flight, received, unsent, connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
