"""Reads at the beginning of a connection who is behind the balancer that has made it."""

import asyncio
import socket
from collections.abc import Callable

from proxy import errors
from proxy.callers.trusted_proxies import UNIX_PEER, TrustedProxies
from proxy.gateway.server.proxy_protocol import MAX_SIZE, Client, Malformed, parse
from proxy.output.diagnostics import log

QUIET = 60.0
"""Seconds after a refusal was logged in which no other is."""


class ClientAddresses:
    """Reads the headers of the PROXY protocol.

    Args:
        proxies: who may send them; all others are refused.
        timeout: seconds in which a header must be complete.
        refused: called for each connection that is refused.
    """

    def __init__(self, proxies: TrustedProxies, timeout: float, refused: Callable[[errors.Limit], None]) -> None:
        self._proxies = proxies
        self._timeout = timeout
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._quiet_until = 0.0

    async def read(self, connection: socket.socket) -> Client | None:
        """The address of the caller; None if the balancer speaks for itself, or does not know.

        Nothing beyond the header is taken from the connection.

        Raises:
            ConnectionAbortedError: it was refused, and is closed.
            OSError: it was lost, and is closed.
        """
        try:
            connection.setblocking(False)
            peer = UNIX_PEER if connection.family == socket.AF_UNIX else connection.getpeername()[0]
            try:
                return await self._read_from(peer, connection)
            except Malformed as problem:
                self._report(peer, str(problem))
                raise ConnectionAbortedError from None
        except BaseException:
            connection.close()
            raise

    async def _read_from(self, peer: str, connection: socket.socket) -> Client | None:
        if not self._proxies.trusts(peer):
            raise Malformed("it is not in callers.trusted_proxies")
        try:
            async with asyncio.timeout(self._timeout):
                return await self._read(connection)
        except TimeoutError:
            raise Malformed(f"no header within {self._timeout:g} s") from None

    async def _read(self, connection: socket.socket) -> Client | None:
        received = b""
        while True:
            await self._readable(connection)
            # Whatever follows the header is for the handshake, or for the parser.
            try:
                piece = connection.recv(MAX_SIZE - len(received), socket.MSG_PEEK)
            except BlockingIOError:  # it was not readable after all
                continue
            if not piece:
                if received:
                    raise Malformed("a header that ends in the middle")
                raise ConnectionAbortedError  # somebody looked whether the port is open
            header = parse(received + piece)
            received += connection.recv(len(piece) if header is None else header.size - len(received))
            if header is not None:
                return header.client

    async def _readable(self, connection: socket.socket) -> None:
        readable = asyncio.Event()
        self._loop.add_reader(connection, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(connection)

    def _report(self, peer: str, reason: str) -> None:
        self._refused("proxy_header")
        if self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + QUIET
            log.warning(
                "proxy_header_refused",
                peer="unix" if peer == UNIX_PEER else peer,
                reason=reason,
                message="callers.proxy_protocol is set: only balancers that send the header may connect",
            )
