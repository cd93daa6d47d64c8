"""One call to the successor."""

import asyncio
import contextlib
import errno
import socket
import ssl
import zlib
from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol, Self

import httpx

from proxy import config, errors
from proxy.gateway.connection import Request
from proxy.gateway.engine import Engine
from proxy.gateway.headers import Header

ANSWER_LIMIT = 4 << 20
"""Bytes of the answer to a call that starts a run, encoded or not."""


class Answer(NamedTuple):
    """What the successor answered, the body as it came."""

    status: int
    headers: list[Header]
    body: bytes

    def decoded(self) -> bytes:
        """The body, its content encoding undone.

        Raises:
            errors.InvalidAnswer: the encoding is unknown or broken, or hides more than `ANSWER_LIMIT`.
            errors.ConnectionLost: the body was cut off.
        """
        codings = [value for name, value in self.headers if name.lower() == b"content-encoding"]
        return _decoded(self.body, codings) if codings and self.body else self.body


class Stream(NamedTuple):
    """What the successor answers, as it comes."""

    status: int
    headers: list[Header]
    body: AsyncIterator[bytes]


class Reply(Protocol):
    """What a transport brings back: the head, and the body as it is read."""

    status: int
    headers: list[Header]

    async def read(self) -> bytes:
        """What has come of its body, or nothing at its end."""

    async def aclose(self) -> None:
        """Give the connection back."""


class Upstream:
    """The successor's address, and the connections to it: an asynchronous context, which closes them.

    Args:
        settings: address and limits. Translated calls and others have `max_connections` each, so that neither kind
            waits for the other.
        transport: stands in for the network; None is the real one.
    """

    def __init__(self, settings: config.Upstream, transport: httpx.AsyncBaseTransport | None = None) -> None:
        base = httpx.URL(settings.url)
        self._host = base.netloc
        self._prefix = base.raw_path.rstrip(b"/")
        self._timeout = settings.timeout
        self._open = contextlib.AsyncExitStack()
        self._transports = [transport] if transport is not None else [_engine(base, settings), _engine(base, settings)]
        senders = [one.send if isinstance(one, Engine) else _Foreign(one, base).send for one in self._transports]
        self._post, self._stream = senders[0], senders[-1]

    async def __aenter__(self) -> Self:
        for transport in self._transports:
            await self._open.enter_async_context(transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def post(self, target: bytes, headers: list[Header], body: bytes) -> Answer:
        """Send a call that starts a run, exactly once, and read the whole answer within `upstream.timeout`.

        Args:
            target: path and query, byte for byte.
            headers: all but ``Host`` and the length.
            body: of the request.

        Raises:
            errors.Unreachable: nothing was sent.
            errors.Timeout: it was sent, and no whole answer came in time.
            errors.ConnectionLost: it was sent, and the connection broke.
            errors.InvalidAnswer: the answer is not HTTP, or over `ANSWER_LIMIT`.
        """
        framing = [(b"host", self._host), (b"content-length", b"%d" % len(body))]
        deadline = asyncio.get_running_loop().time() + self._timeout
        request = Request("POST", self._prefix + target, [*framing, *headers], body, deadline)
        reply = None
        try:
            reply = await self._post(request)
            return Answer(reply.status, reply.headers, await _read(reply))
        except (errors.ProxyError, httpx.HTTPError, TimeoutError) as error:
            raise self._mapped(error, reply) from error
        finally:
            if reply is not None:
                await reply.aclose()

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, target: bytes, headers: list[Header], body: AsyncIterator[bytes] | None
    ) -> AsyncIterator[Stream]:
        """Hand a call on as it is, both bodies as they come; the upstream may rest no longer than `upstream.timeout`.

        Args:
            method: as it came.
            target: path and query, byte for byte.
            headers: all but ``Host``.
            body: of the request; None where it has none.

        Raises:
            errors.ProxyError: as `post` does, while the block runs too; or what `body` raises.
        """
        headers = [(b"host", self._host), *headers]
        reply = None
        try:
            async with asyncio.timeout(self._timeout) as rest:
                watch = _Watch(rest, self._timeout)
                upload = b"" if body is None else _Upload(body, watch)
                reply = await self._stream(Request(method, self._prefix + target, headers, upload))
                yield Stream(reply.status, reply.headers, _watched(reply, watch))
        except (errors.ProxyError, httpx.HTTPError, TimeoutError) as error:
            raise self._mapped(error, reply) from error
        finally:
            if reply is not None:
                await reply.aclose()

    def _mapped(self, error: Exception, reply: Reply | None) -> errors.ProxyError:
        known = self._known(error)
        known.upstream_status = reply.status if reply is not None else None
        return known

    def _known(self, error: Exception) -> errors.ProxyError:
        match error:
            case errors.ProxyError():
                return error
            case httpx.ConnectTimeout():
                return _unreachable("it did not accept a connection in time", "connection_timeout")
            case httpx.PoolTimeout():
                return _unreachable("every connection to it is busy", "connection_limit_reached")
            case httpx.ConnectError():
                return _no_connection(error.__cause__)
            case httpx.UnsupportedProtocol() | httpx.ProxyError():
                return _unreachable("its address cannot be used", "proxy_configuration_error")
            case httpx.TimeoutException() | TimeoutError():
                return errors.Timeout(f"The service did not answer within {self._timeout:g} s.")
            case httpx.LocalProtocolError():
                return errors.InternalError("The proxy could not write the request.", run_started="no")
            case httpx.RemoteProtocolError() | httpx.DecodingError() | httpx.TooManyRedirects():
                return errors.InvalidAnswer("The service's answer is not HTTP.")
            case _:
                return errors.ConnectionLost("The connection to the service broke before its answer was whole.")


def _engine(base: httpx.URL, settings: config.Upstream) -> Engine:
    return Engine(
        base,
        connect_timeout=settings.connect_timeout,
        keepalive=settings.keepalive,
        max_connections=settings.max_connections,
    )


class _Foreign:
    """Any transport that has httpx's interface, in place of the engine."""

    def __init__(self, transport: httpx.AsyncBaseTransport, base: httpx.URL) -> None:
        self._transport = transport
        self._origin = base.copy_with(path="/")

    async def send(self, request: Request) -> Reply:
        """As the engine's."""
        stream = httpx.ByteStream(request.body) if isinstance(request.body, bytes) else request.body
        extensions = {"target": request.target}
        asked = httpx.Request(
            request.method, self._origin, headers=request.headers, stream=stream, extensions=extensions
        )
        async with asyncio.timeout_at(request.deadline):
            return _ForeignReply(await self._transport.handle_async_request(asked), request.deadline)


class _ForeignReply:
    def __init__(self, response: httpx.Response, deadline: float | None) -> None:
        self.status, self.headers = response.status_code, response.headers.raw
        self._response = response
        self._body = aiter(response.stream)  # type: ignore[arg-type]
        self._deadline = deadline

    async def read(self) -> bytes:
        async with asyncio.timeout_at(self._deadline):
            async for chunk in self._body:
                if chunk:
                    return chunk
        return b""

    async def aclose(self) -> None:
        await self._response.aclose()


class _Watch:
    """Counts the time that the upstream rests, and not that in which the caller does."""

    def __init__(self, rest: asyncio.Timeout, seconds: float) -> None:
        self._rest = rest
        self._seconds = seconds

    def upstream(self) -> None:
        """It is the upstream's turn."""
        self._rest.reschedule(asyncio.get_running_loop().time() + self._seconds)

    def caller(self) -> None:
        """It is the caller's turn."""
        self._rest.reschedule(None)


class _Upload(httpx.AsyncByteStream):
    def __init__(self, body: AsyncIterator[bytes], watch: _Watch) -> None:
        self._body = body
        self._watch = watch

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._watch.caller()
        async for chunk in self._body:
            self._watch.upstream()
            yield chunk
            self._watch.caller()
        self._watch.upstream()


async def _watched(reply: Reply, watch: _Watch) -> AsyncIterator[bytes]:
    watch.upstream()
    while chunk := await reply.read():
        watch.caller()
        yield chunk
        watch.upstream()
    watch.caller()


async def _read(reply: Reply) -> bytes:
    content = bytearray()
    while chunk := await reply.read():
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
            return _unreachable("its certificate is not to be trusted", "tls_certificate_error")
        case ssl.SSLError():
            return _unreachable("it does not speak TLS as it must", "tls_protocol_error")
        case ConnectionRefusedError():
            return _unreachable("it refused the connection", "connection_refused")
        case ConnectionError():
            return _unreachable("it broke the connection off before it was ready", "connection_terminated")
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return _unreachable("the proxy has too many files open", "connection_limit_reached")
        case _:
            return _unreachable("no connection could be made", "destination_unavailable")


def _unreachable(why: str, proxy_error: str) -> errors.ProxyError:
    return errors.Unreachable(f"The service cannot be reached: {why}.", proxy_error=proxy_error)
