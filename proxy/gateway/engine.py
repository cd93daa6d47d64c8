"""An httpx transport with aiohttp under it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import aiohttp
import httpx
import yarl

HEADERS_LIMIT = 64 << 10
"""Bytes of one line of the answer's head."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests over pooled connections; to be entered inside a running loop.

    The request target is the extension ``target`` (bytes), byte for byte. Nothing is added to a request but ``Host``
    and its framing; no cookie is kept, no redirect followed, no environment looked at, no content encoding undone.

    Args:
        connect_timeout: seconds to wait for a free connection and to establish it.
        keepalive: seconds for which an idle connection may be used again.
        max_connections: at most, busy ones included.
        tls: what to trust; the system's authorities by default.
    """

    def __init__(
        self,
        *,
        connect_timeout: float,
        keepalive: float,
        max_connections: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout)
        self._keepalive = keepalive
        self._max_connections = max_connections
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=self._max_connections, keepalive_timeout=self._keepalive, ssl=self._tls or True
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            max_line_size=HEADERS_LIMIT,
            max_field_size=HEADERS_LIMIT,
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once.

        Raises:
            httpx.ConnectError: no connection was made; the cause is the system's own error.
            httpx.ConnectTimeout: no connection was made in time.
            httpx.ReadError: the connection broke after the request was sent.
            httpx.RemoteProtocolError: the answer is no HTTP.
        """
        assert self._session is not None  # noqa: S101 - a programming error, not an input
        target = request.extensions.get("target") or request.url.raw_path
        url = yarl.URL(f"{request.url.scheme}://{request.url.netloc.decode()}{target.decode()}", encoded=True)
        try:
            response = await self._session.request(
                request.method,
                url,
                headers=[
                    (name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in request.headers.raw
                ],
                data=await request.aread(),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _mapped(error) from _cause(error)
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _mapped(error) from _cause(error)

    async def aclose(self) -> None:
        self._response.release()


def _mapped(error: Exception) -> httpx.TransportError:
    # Only the class is told: messages quote headers.
    text = type(error).__name__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(text)
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(text)
        case asyncio.TimeoutError():
            return httpx.ReadTimeout(text)
        case aiohttp.ClientResponseError():
            return httpx.RemoteProtocolError(text)
        case aiohttp.InvalidURL():
            return httpx.LocalProtocolError(text)
        case _:
            return httpx.ReadError(text)


def _cause(error: Exception) -> BaseException:
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
