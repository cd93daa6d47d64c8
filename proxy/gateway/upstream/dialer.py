"""Makes connections to the service."""

import asyncio
import socket
import ssl
from typing import Self

import aiohappyeyeballs
import httpx

from proxy import config
from proxy.gateway.pem import client_context, load_key_pair
from proxy.gateway.upstream import egress
from proxy.gateway.upstream.egress import EgressError, EgressProxy

LONGEST_HEAD = 16 << 10
"""Bytes of the head of an egress proxy's answer."""


class Dialer:
    """Makes connections to one origin, directly or through an egress proxy. Environment variables have no influence.

    Args:
        origin: scheme, host and port; the rest of the URL is ignored.
        tls: which certificates to trust and to show; by default, those of the system's authorities and none.
        proxy: the egress proxy, if there is one.
    """

    def __init__(self, origin: httpx.URL, tls: ssl.SSLContext | None = None, proxy: EgressProxy | None = None) -> None:
        self.host = origin.raw_host.decode("ascii")
        self.port = origin.port or (443 if origin.scheme == "https" else 80)
        self.tls = (tls or client_context(None)) if origin.scheme == "https" else None
        self._proxy = proxy

    @classmethod
    def configured(cls, settings: config.Upstream) -> Self:
        """Read the files that the configuration names.

        Raises:
            UnusableFile: one of them cannot be used.
        """
        origin, tls = httpx.URL(settings.url), None
        if origin.scheme == "https":
            tls = client_context(settings.authorities)
            if settings.certificate is not None and settings.key is not None:
                load_key_pair(tls, "upstream", settings.certificate, settings.key)
        return cls(origin, tls, EgressProxy.configured(settings))

    async def connect(self, connection: asyncio.BaseProtocol, deadline: float | None) -> None:
        """Connect a protocol.

        Args:
            connection: the protocol, which is called when it is connected, and only then.
            deadline: on the loop's clock.

        Raises:
            EgressError: the egress proxy made no connection.
            httpx.ConnectError: no connection was made; the cause is the system's error.
            httpx.ConnectTimeout: no connection was made in time.
        """
        try:
            async with asyncio.timeout_at(deadline):
                sock = await (self._open() if self._proxy is None else self._tunnel(self._proxy))
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=self.tls,
                    server_hostname=self.host if self.tls is not None else None,
                )
        except TimeoutError as error:
            if self._proxy is not None:
                raise EgressError("the egress proxy made no connection in time", "connection_timeout") from error
            raise httpx.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpx.ConnectError(type(error).__name__) from error

    async def _open(self) -> socket.socket:
        return await _connected(self.host, self.port)

    async def _tunnel(self, proxy: EgressProxy) -> socket.socket:
        try:
            sock = await _connected(proxy.host, proxy.port)
            try:
                proxy.check(await _answer(sock, proxy.request_for(self.host, self.port)))
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise egress.failure(error) from error
        return sock


async def _connected(host: str, port: int) -> socket.socket:
    """A socket that is connected to the first address that answers.

    Raises:
        OSError: there is none.
    """
    return await aiohappyeyeballs.start_connection(await addresses(host, port), happy_eyeballs_delay=0.25)


async def addresses(host: str, port: int) -> list[aiohappyeyeballs.AddrInfoType]:
    """The addresses of a host at the moment.

    Raises:
        socket.gaierror: it has none.
    """
    return list(await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))


async def _answer(sock: socket.socket, request: bytes) -> bytes:
    """What an egress proxy answers, up to the end of the head or a little further.

    Raises:
        OSError: the connection broke.
    """
    loop, answer = asyncio.get_running_loop(), b""
    await loop.sock_sendall(sock, request)
    while b"\r\n\r\n" not in answer and len(answer) < LONGEST_HEAD:
        data = await loop.sock_recv(sock, LONGEST_HEAD)
        if not data:
            raise ConnectionResetError
        answer += data
    return answer
