"""What TLS from callers needs beyond asyncio: a half-close, and an answer to those who speak plain HTTP.

A caller may half-close TLS: it sends close_notify, and still reads (RFC 8446, section 6.1). The event loop knows no
such thing. It closes a connection as soon as reading from TLS gives nothing, or the TCP connection ends, and drops the
answer that is still to come.
"""

import asyncio
import ssl
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, cast

from proxy import errors
from proxy.gateway.exchange import refusal
from proxy.gateway.headers import Header

_NO_TLS = {"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"}
"""OpenSSL's reasons where what has come is no record of TLS."""


class Session(ssl.SSLObject):
    """TLS on one connection, which its caller may half-close.

    Attributes:
        incoming: what the caller sends.
        outgoing: what is sent to it.
    """

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    _is_refused = False
    _transport: Any = None
    _ended: Callable[[], None] | None = None

    def do_handshake(self) -> None:
        """Agree with the caller. One that speaks no TLS is told so, and may stay for as long as a handshake takes.

        Raises:
            ssl.SSLWantReadError: more must come.
            ssl.SSLError: there is no agreement.
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
        """A session that knows what it reads from and writes to."""
        session = cast("Session", super().wrap_bio(incoming, outgoing, *args, **kwargs))
        session.incoming, session.outgoing = incoming, outgoing
        return session


def _date() -> Header:
    return b"date", formatdate(usegmt=True).encode()
