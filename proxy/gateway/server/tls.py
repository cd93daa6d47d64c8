"""What TLS from callers needs beyond asyncio: a half-close, and an answer to callers that speak plain HTTP.

A caller may half-close TLS: it sends close_notify, and still reads (RFC 8446, section 6.1). The event loop does not
support that. It closes the connection when the caller's side ends, so the answer would be lost.
"""

import asyncio
import ssl
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, cast

from proxy import errors
from proxy.gateway.headers import Header
from proxy.gateway.server.exchange import refusal

_NO_TLS = {"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"}
"""OpenSSL's reasons if the input is not TLS."""


class Session(ssl.SSLObject):
    """TLS on one connection, which the caller may half-close.

    Attributes:
        incoming: encrypted bytes from the caller.
        outgoing: encrypted bytes to it.
    """

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    _is_refused = False
    _transport: Any = None
    _ended: Callable[[], None] | None = None

    def do_handshake(self) -> None:
        """Continue the handshake. A caller that does not speak TLS gets an answer, and is cut off by its time limit.

        Raises:
            ssl.SSLWantReadError: more input is needed.
            ssl.SSLError: the handshake failed.
        """
        if self._is_refused:
            self.incoming.read()
            raise ssl.SSLWantReadError
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            if error.reason not in _NO_TLS:
                raise
            self._is_refused = True
            self.outgoing.write(refusal(errors.InvalidRequest("This port speaks TLS: call it with https."), [_date()]))
            raise ssl.SSLWantReadError from None

    def begin(self, transport: asyncio.Transport, ended: Callable[[], None]) -> None:
        """Called after the handshake.

        Args:
            transport: carries what is encrypted.
            ended: called once when the caller has half-closed, after everything that it sent was received.
        """
        self._transport, self._ended = transport, ended

    def end(self) -> None:
        """Called when the connection is lost. Releases what `begin` was given, since that refers to this session."""
        self._transport = self._ended = None

    def read(self, len: int = 1024, buffer: Any = None) -> bytes:  # noqa: A002 - the name in ssl.SSLObject
        """Return what the caller has sent.

        Raises:
            ssl.SSLWantReadError: nothing more has arrived, or the caller has half-closed.
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
        """Keep the event loop from reading the end of the TCP connection: with one unread byte, its buffer is full."""
        self.incoming.write(b"\0")
        self._transport.set_read_buffer_limits(high=1, low=0)


class Context(ssl.SSLContext):
    """Makes a `Session` for each connection."""

    sslobject_class = Session

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **kwargs: Any) -> Session:
        """Make a session that has access to its buffers."""
        session = cast("Session", super().wrap_bio(incoming, outgoing, *args, **kwargs))
        session.incoming, session.outgoing = incoming, outgoing
        return session


def _date() -> Header:
    return b"date", formatdate(usegmt=True).encode()
