"""What TLS from callers needs beyond asyncio."""

import asyncio
import socket
import ssl
from collections.abc import Callable

HANDSHAKE = b"\x16"
"""The first byte of a TLS connection: the content type of a record (RFC 8446, section 5.1)."""


class Session(ssl.SSLObject):
    """TLS on one connection, which the caller may half-close.

    The event loop closes a connection as soon as `read` returns nothing, and drops the answer that is still to come.

    Attributes:
        ended: called once when the caller has sent its close_notify, after what came before that has been read.
    """

    ended: Callable[[], None] | None = None

    def read(self, len: int = 1024, buffer: bytearray | None = None) -> bytes:  # type: ignore[override]  # noqa: A002
        """What the caller has sent.

        Raises:
            ssl.SSLWantReadError: nothing more has come, or will come.
        """
        data = super().read(len, buffer)
        if data:
            return data
        if self.ended is not None:
            asyncio.get_running_loop().call_soon(self.ended)
            self.ended = None
        raise ssl.SSLWantReadError


async def is_spoken(connection: socket.socket) -> bool:
    """Whether a caller begins with a TLS handshake, or ends without a word. What it sends stays to be read."""
    loop = asyncio.get_running_loop()
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
