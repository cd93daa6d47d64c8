"""Calls the service, and turns every way that this can fail into an error of the proxy."""

import contextlib
import errno
import functools
import socket
import ssl
import zlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple, Self, cast

import httpx
import msgspec

from proxy import config, errors
from proxy.gateway.headers import Header
from proxy.gateway.metrics import ConnectionKind
from proxy.gateway.upstream.connection import is_refused_certificate
from proxy.gateway.upstream.dialer import Dialer
from proxy.gateway.upstream.egress import EgressError
from proxy.gateway.upstream.messages import RawHeaders, RawRequest
from proxy.gateway.upstream.pool import ConnectionPool
from proxy.gateway.upstream.reachability import Reachability
from proxy.gateway.upstream.service_timeouts import ServiceTimeout, ServiceTimeouts

_UNREACHABLE = "The service cannot be reached: "
_OWN_LIMITS = {"connection_limit_reached"}
"""What is not the service's fault."""

ANSWER_LIMIT = 4 << 20
"""Bytes of the answer to a call that starts a run, encoded or not."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The whole response of the service, the body as it was sent."""

    status: int
    headers: list[Header]
    body: bytes

    def decoded(self) -> bytes:
        """The body without its content encoding.

        Raises:
            errors.InvalidAnswer: the encoding is unknown or broken, or hides more than `ANSWER_LIMIT`.
            errors.ConnectionLost: the body was cut off.
        """
        codings = [value for name, value in self.headers if name.lower() == b"content-encoding"]
        return _decoded(self.body, codings) if codings and self.body else self.body


class Stream(NamedTuple):
    """A response of the service whose body is still being received."""

    status: int
    headers: list[Header]
    body: AsyncIterator[bytes]


class Upstream:
    """The service: its address, and the connections to it, which are closed at the end of an asynchronous context.

    Args:
        settings: address and limits. `post` and `stream` have a pool of `max_connections` each, so that neither waits
            for the other.
        transport: used instead of both pools, if given.

    Raises:
        UnusableFile: a file that the settings name cannot be used.
    """

    def __init__(self, settings: config.Upstream, transport: httpx.AsyncBaseTransport | None = None) -> None:
        base = httpx.URL(settings.url)
        self._host = base.netloc
        self._prefix = base.raw_path.rstrip(b"/")
        self._origin = base.copy_with(raw_path=b"/")
        self._timeouts = ServiceTimeouts(settings.timeout)
        connect = settings.connect_timeout
        self._limits = httpx.Timeout(settings.timeout, connect=connect, pool=connect).as_dict()
        self.reachability = Reachability(settings.url)
        self._pools = _pools(settings) if transport is None else []
        self._posts: httpx.AsyncBaseTransport
        self._streams: httpx.AsyncBaseTransport
        self._posts, self._streams = (transport, transport) if transport is not None else self._pools

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for transport in {self._posts, self._streams}:
            await transport.aclose()

    async def post(self, target: bytes, headers: list[Header], body: bytes) -> Answer:
        """Send a call that starts a run, exactly once, and read the whole answer within `upstream.timeout`.

        Args:
            target: path and query, byte for byte.
            headers: of the request, without ``Host`` and ``Content-Length``.
            body: of the request.

        Raises:
            errors.Unreachable: nothing was sent.
            errors.Timeout: it was sent, and no whole answer came in time.
            errors.ConnectionLost: it was sent, and the connection broke.
            errors.InvalidAnswer: the answer is not HTTP, or over `ANSWER_LIMIT`.
        """
        framing = [(b"host", self._host), (b"content-length", b"%d" % len(body))]
        request = self._request("POST", target, [*framing, *headers], httpx.ByteStream(body))
        response = None
        stream: Any = None  # httpx.AsyncByteStream
        try:
            with ServiceTimeout(self._timeouts):
                response = await self._posts.handle_async_request(request)
                if self.reachability.reason is not None:
                    self.reachability.worked()
                stream = response.stream
                return Answer(response.status_code, response.headers.raw, await _read_all(stream))
        except (errors.ProxyError, httpx.HTTPError, TimeoutError) as error:
            raise self._mapped(error, response) from error
        finally:
            if stream is not None:
                await stream.aclose()

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, target: bytes, headers: list[Header], body: AsyncIterator[bytes] | None
    ) -> AsyncIterator[Stream]:
        """Forward a call unchanged, and stream both bodies; the service may pause for up to `upstream.timeout`.

        Args:
            method: of the request.
            target: path and query, byte for byte.
            headers: of the request, without ``Host``.
            body: of the request, or None if it has none.

        Raises:
            errors.ProxyError: as `post` does, also while the block runs; or what `body` raises.
        """
        response = stream = None
        timeout = ServiceTimeout(self._timeouts)
        upload = httpx.ByteStream(b"") if body is None else _Upload(body, timeout)
        request = self._request(method, target, [(b"host", self._host), *headers], upload)
        try:
            with timeout:
                response = await self._streams.handle_async_request(request)
                if self.reachability.reason is not None:
                    self.reachability.worked()
                stream = cast("httpx.AsyncByteStream", response.stream)
                yield Stream(response.status_code, response.headers.raw, _read_each(stream, timeout))
        except (errors.ProxyError, httpx.HTTPError, TimeoutError) as error:
            raise self._mapped(error, response) from error
        finally:
            if stream is not None:
                await stream.aclose()

    def use(self, dialer: Dialer) -> None:
        """Make new connections in another way."""
        for pool in self._pools:
            pool.dialer = dialer

    @property
    def certificate_end(self) -> datetime | None:
        """When the service's certificate ends, as of the last connection; None if that is not known."""
        return max((end for pool in self._pools if (end := pool.certificate_end) is not None), default=None)

    @property
    def in_use(self) -> dict[ConnectionKind, int]:
        """How many connections carry a call, or are being made for one."""
        kinds: tuple[ConnectionKind, ...] = "run_starting", "other"
        return {kind: pool.in_use for kind, pool in zip(kinds, self._pools, strict=False)}

    def _request(self, method: str, target: bytes, headers: list[Header], body: httpx.AsyncByteStream) -> httpx.Request:
        extensions = {"target": self._prefix + target, "timeout": self._limits}
        return RawRequest(method, self._origin, RawHeaders(headers), body, extensions)

    def _mapped(self, error: Exception, response: httpx.Response | None) -> errors.ProxyError:
        mapped = self._proxy_error(error)
        mapped.upstream_status = response.status_code if response is not None else None
        if isinstance(mapped, errors.Unreachable) and mapped.proxy_error not in _OWN_LIMITS:
            self.reachability.failed(mapped.message.removeprefix(_UNREACHABLE).removesuffix("."))
        return mapped

    def _proxy_error(self, error: Exception) -> errors.ProxyError:
        match error:
            case errors.ProxyError():
                return error
            case httpx.ConnectTimeout():
                return _unreachable("it did not accept a connection in time", "connection_timeout")
            case httpx.PoolTimeout():
                return _unreachable(
                    "every connection to it is busy", "connection_limit_reached", limit="upstream_connections"
                )
            case httpx.ConnectError():
                return _no_connection(error.__cause__)
            case EgressError():
                return _unreachable(str(error), error.proxy_error)
            case httpx.UnsupportedProtocol() | httpx.ProxyError():
                return _unreachable("its address cannot be used", "proxy_configuration_error")
            case httpx.TimeoutException() | TimeoutError():
                return errors.Timeout(f"The service did not answer within {self._timeouts.seconds:g} s.")
            case httpx.LocalProtocolError():
                return errors.InternalError("The proxy could not write the request.", run_started="no")
            case httpx.RemoteProtocolError() | httpx.DecodingError() | httpx.TooManyRedirects():
                return errors.InvalidAnswer("The service's answer is not HTTP.")
            case _:
                return errors.ConnectionLost("The connection to the service broke before its answer was whole.")


def _pools(settings: config.Upstream) -> list[ConnectionPool]:
    dialer = Dialer.configured(settings)
    make = functools.partial(ConnectionPool, keepalive=settings.keepalive, max_connections=settings.max_connections)
    return [make(dialer), make(dialer)]


class _Upload(httpx.AsyncByteStream):
    """The body of a request; waiting for the caller does not count as waiting for the service."""

    def __init__(self, body: AsyncIterator[bytes], timeout: ServiceTimeout) -> None:
        self._body = body
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._timeout.pause()
        async for chunk in self._body:
            self._timeout.restart()
            yield chunk
            del chunk  # or it would stay in memory while a slow caller sends the next
            self._timeout.pause()
        self._timeout.restart()


async def _read_each(body: httpx.AsyncByteStream, limit: ServiceTimeout) -> AsyncIterator[bytes]:
    limit.restart()
    async for chunk in body:
        if chunk:
            limit.pause()
            yield chunk
            limit.restart()
    limit.pause()


async def _read_all(body: httpx.AsyncByteStream) -> bytes:
    content = bytearray()
    async for chunk in body:
        content += chunk
        if len(content) > ANSWER_LIMIT:
            raise _too_large()
    return bytes(content)


def _decoded(content: bytes, codings: list[bytes]) -> bytes:
    encoding = b", ".join(codings).strip().lower().decode("latin-1")
    if encoding in {"", "identity"}:
        return content
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise errors.InvalidAnswer("The service answered in a content encoding that was not asked for.")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by the header
    try:
        plain = inflate.decompress(content, ANSWER_LIMIT + 1)
    except zlib.error:
        raise errors.InvalidAnswer("The service answered with broken compression.") from None
    if len(plain) > ANSWER_LIMIT:
        raise _too_large()
    if not inflate.eof:
        raise errors.ConnectionLost("The service's answer was cut off.", proxy_error="http_response_incomplete")
    return plain


def _too_large() -> errors.ProxyError:
    return errors.InvalidAnswer(
        f"The service's answer is over {ANSWER_LIMIT >> 20} MiB.", proxy_error="http_response_body_size"
    )


def _no_connection(cause: BaseException | None) -> errors.ProxyError:
    match cause:
        case socket.gaierror():
            return _unreachable("its name is not known", "dns_error")
        case ssl.SSLCertVerificationError():
            return _unreachable("its certificate is not trusted", "tls_certificate_error")
        case ssl.SSLError() if is_refused_certificate(cause):
            return _unreachable("it does not accept the certificate of the proxy", "tls_alert_received")
        case ssl.SSLError():
            return _unreachable("the TLS handshake failed", "tls_protocol_error")
        case ConnectionRefusedError():
            return _unreachable("it refused the connection", "connection_refused")
        case ConnectionError():
            return _unreachable("it closed the connection, or spoke, before the request", "connection_terminated")
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return _unreachable("the proxy has too many files open", "connection_limit_reached")
        case _:
            return _unreachable("no connection could be made", "destination_unavailable")


def _unreachable(why: str, proxy_error: str, limit: errors.Limit | None = None) -> errors.ProxyError:
    return errors.Unreachable(f"{_UNREACHABLE}{why}.", proxy_error=proxy_error, limit=limit)
