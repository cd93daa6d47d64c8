"""What TLS from callers needs beyond asyncio.

A caller may half-close TLS: it sends close_notify, and still reads (RFC 8446, section 6.1). The event loop knows no
such thing. It closes a connection as soon as reading from TLS gives nothing, or the TCP connection ends, and drops the
answer that is still to come.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

HANDSHAKE = b"\x16"
"""The first byte of a TLS connection: the content type of a record (RFC 8446, section 5.1)."""


class Session(ssl.SSLObject):
    """TLS on one connection, which its caller may half-close."""

    incoming: ssl.MemoryBIO
    _transport: Any = None
    _ended: Callable[[], None] | None = None

    def begin(self, transport: asyncio.Transport, ended: Callable[[], None]) -> None:
        """The handshake is done.

        Args:
            transport: of what TLS carries.
            ended: called once when the caller has half-closed, after what it sent before that has been received.
        """
        self._transport, self._ended = transport, ended

    def end(self) -> None:
        """The connection is gone: release what `begin` was given, which holds this."""
        self._transport = self._ended = None

    def read(self, len: int = 1024, buffer: Any = None) -> bytes:  # noqa: A002 - the name that it has
        """What the caller has sent.

        Raises:
            ssl.SSLWantReadError: nothing more has come, or will come.
        """
        data = super().read(len, buffer)
        if data:
            return data
        if self._ended is not None:
            self._stop_reading()
            asyncio.get_running_loop().call_soon(self._ended)
            self.end()
        raise ssl.SSLWantReadError

    def _stop_reading(self) -> None:
        """Keep the event loop from reading on, to the end of the TCP connection: a byte that stays fills its buffer."""
        self.incoming.write(b"\0")
        self._transport.set_read_buffer_limits(high=1, low=0)


class Context(ssl.SSLContext):
    """What makes each `Session`."""

    sslobject_class = Session

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **kwargs: Any) -> Session:
        """A session that knows where its input is."""
        session = cast("Session", super().wrap_bio(incoming, outgoing, *args, **kwargs))
        session.incoming = incoming
        return session


async def is_spoken(connection: socket.socket) -> bool:
    """Whether a caller begins with a TLS handshake, or ends without a word. What it sends stays to be read."""
    loop = asyncio.get_running_loop()
    connection.setblocking(False)
    while True:
        try:
            return connection.recv(1, socket.MSG_PEEK) in {HANDSHAKE, b""}
        except BlockingIOError:
            readable = asyncio.Event()
            loop.add_reader(connection, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(connection)
