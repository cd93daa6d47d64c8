"""The way of a call, and what it needs on that way."""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast
from urllib.parse import quote_from_bytes

import httpx
from starlette.types import Message, Receive, Scope, Send

from proxy import errors
from proxy.callers.identity import Identity
from proxy.callers.log import CallerLog, fingerprint_key, operator
from proxy.callers.record import SCHEMA, CallRecord, Heartbeat
from proxy.config import Config
from proxy.gateway import headers
from proxy.gateway.admin import Health
from proxy.gateway.headers import Header, Headers
from proxy.gateway.upstream import Upstream
from proxy.withdrawn import endpoints, lifecycle, trigger

Clock = Callable[[], datetime]


class Response(NamedTuple):
    """An answer to the caller; its length is added when it is sent."""

    status: int
    headers: list[Header]
    body: bytes


class App:
    """Both listeners, and what lives as long as they do.

    Args:
        config: the whole configuration.
        admin_port: the port whose connections are for the admin listener; None where there is none.
        transport: stands in for the network; None is the real one.
        now: the time, in UTC.

    Raises:
        OSError: the caller log or the fingerprint key cannot be opened.
    """

    def __init__(
        self,
        config: Config,
        admin_port: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._interval = config.callers.heartbeat
        self._admin_port = admin_port
        self._now = now
        self._log = CallerLog(config.callers.log)
        self._upstream = Upstream(config.upstream, transport)
        self._health = Health(self._lifespan)
        self._gateway = Gateway(config, self._upstream, self._log, now)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a connection's call to the listener that it came in on."""
        if (
            scope["type"] == "lifespan"
            or scope["server"][1] == self._admin_port
            or scope["raw_path"].startswith(b"/-/")
        ):
            await self._health(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        async with self._upstream.transport:
            self._beat("start")
            beating = asyncio.create_task(self._keep_beating())
            yield
            beating.cancel()
            self._beat("stop")
        self._log.close()

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            self._beat("interval")

    def _beat(self, at: Any) -> None:
        instance = f"{socket.gethostname()}:{os.getpid()}"
        self._log.append(Heartbeat(SCHEMA, self._now(), at, self._interval, instance))


class Gateway:
    """The public listener: calls of withdrawn endpoints."""

    def __init__(self, config: Config, upstream: Upstream, log: CallerLog, now: Clock) -> None:
        self._limits = config.limits
        self._upstream = upstream
        self._base = config.upstream.url
        self._policy = config.lifecycle.policy
        self._announcement = lifecycle.announcement(self._policy)
        self._identity = Identity(
            config.callers.trusted_proxies,
            fingerprint_key(config.callers.fingerprint_key, config.callers.log),
        )
        self._log = log
        self._now = now
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The way of a call, from its first byte to its last."""
        match = endpoints.match(scope["method"], scope["raw_path"].decode("latin-1"))
        if match is None:
            await _send(send, _not_served())
            return
        started = time.perf_counter()
        record = self._opened(match, scope)
        kept: list[Header] = []
        try:
            with self._place():
                record.workflow = match.workflow
                record.successor = match.successor
                legacy = await _body(scope, receive, self._limits.body)
                request = trigger.to_successor(legacy, record.workflow)
                record.inputs, record.ignored_fields = request.inputs, request.ignored_fields
                with _timed(record):
                    answer = await self._upstream.post(
                        record.successor,
                        headers.translated(scope["headers"], record.request_id.encode()),
                        request.body,
                    )
                record.upstream_status = answer.status
                kept = headers.kept(answer.headers)
                response = _translated(trigger.to_legacy(answer.status, answer.body), kept, record)
        except errors.ProxyError as error:
            response = _made_here(error, kept, record)
        except Exception as fault:
            operator.error(f"a fault of the proxy itself, in call {record.request_id}: {_where(fault)}")
            response = _made_here(errors.InternalError("The proxy failed."), kept, record)
        finally:
            record.client_gone = _gone(receive)
            record.duration_ms = _milliseconds(started)
            self._log.append(record)
        await _send(send, self._announced(response, record))

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self._in_flight >= self._limits.in_flight:
            raise errors.Overloaded("The proxy has as many calls under way as it may have.")
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def _opened(self, match: endpoints.Match, scope: Scope) -> CallRecord:
        """The record of a call of which only the head is known: until something better is, it was interrupted."""
        head: Headers = scope["headers"]
        now = self._now()
        caller = self._identity.identify(
            scope["client"][0] if scope.get("client") else None,
            [value.decode("latin-1") for name, value in head if name == b"x-forwarded-for"],
            _text(headers.first(head, b"authorization"), "surrogateescape"),
            _text(headers.first(head, b"user-agent")),
        )
        request_id = headers.sane_request_id(headers.first(head, b"x-request-id"))
        return CallRecord(
            schema=SCHEMA,
            ts=now,
            request_id=request_id.decode() if request_id else uuid.uuid4().hex,
            trace_id=headers.trace_id(headers.first(head, b"traceparent")),
            endpoint=match.endpoint.name,
            method=match.endpoint.method,
            path=quote_from_bytes(scope["raw_path"], safe=_PATH_CHARACTERS),
            org=match.segments.get("org"),
            repo=match.segments.get("repo"),
            repo_id=match.segments.get("repo_id"),
            caller=caller.name,
            caller_source=caller.source,
            token=caller.token,
            client_ip=caller.client_ip,
            user_agent=caller.user_agent,
            phase=lifecycle.phase(self._policy, now),
            outcome="interrupted",
            status=500,
        )

    def _announced(self, response: Response, record: CallRecord) -> Response:
        """Add the headers that announce the end."""
        successor = self._base + record.successor if record.successor is not None else None
        links = lifecycle.links(self._policy, successor)
        return response._replace(headers=[*response.headers, *self._announcement, *links])


_PATH_CHARACTERS = "/%!$&'()*+,;=:@-._~"


def _translated(answer: trigger.LegacyAnswer, kept: list[Header], record: CallRecord) -> Response:
    record.outcome = "forwarded" if answer.error_code is None else "upstream_error"
    record.status, record.error_code = answer.status, answer.error_code
    record.run, record.trigger_status, record.run_user = answer.run, answer.trigger_status, answer.run_user
    if answer.error_code is None:
        kept = []
    elif headers.first(kept, b"x-request-id") is None:
        kept = [*kept, (b"x-request-id", record.request_id.encode())]
    return Response(answer.status, kept or [(b"x-request-id", record.request_id.encode())], answer.body)


def _made_here(error: errors.ProxyError, kept: list[Header], record: CallRecord) -> Response:
    record.outcome, record.status, record.error_code = error.outcome, error.status, error.code
    record.upstream_status = record.upstream_status or error.upstream_status
    own = [(b"proxy-status", error.proxy_status().encode()), (b"x-request-id", record.request_id.encode())]
    if error.retry_after is not None:
        own.append((b"retry-after", b"%d" % error.retry_after))
    # The body names the proxy's request id, so the header must not name the service's.
    own += [header for header in kept if header[0] != b"x-request-id"]
    return Response(error.status, own, error.body(record.request_id))


def _not_served() -> Response:
    error = errors.NotServed("This proxy serves only the withdrawn trigger; send other calls to the service itself.")
    request_id = uuid.uuid4().hex
    own = [(b"proxy-status", error.proxy_status().encode()), (b"x-request-id", request_id.encode())]
    return Response(error.status, own, error.body(request_id))


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    declared = headers.first(scope["headers"], b"content-length")
    too_large = errors.BodyTooLarge(f"The body is over {limit} bytes.")
    if declared is not None and int(declared) > limit:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise errors.InvalidBody("The body broke off before it was whole.")
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large
        if not message.get("more_body", False):
            return bytes(body)


async def _send(send: Send, response: Response) -> None:
    content = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(response.body))]
    start: Message = {
        "type": "http.response.start",
        "status": response.status,
        "headers": content + response.headers,
    }
    await send(start)
    await send({"type": "http.response.body", "body": response.body})


def _gone(receive: Receive) -> bool:
    """Whether the caller has hung up, found without waiting: ASGI has no question for it, only a message to await."""
    waiting = cast("Coroutine[Any, Any, Message]", receive())
    try:
        waiting.send(None)
    except StopIteration as stop:
        return bool(stop.value["type"] == "http.disconnect")
    waiting.close()
    return False


@contextlib.contextmanager
def _timed(record: CallRecord) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        record.upstream_ms = _milliseconds(started)


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)


def _text(value: bytes | None, unfit: str = "replace") -> str | None:
    return value.decode("utf-8", unfit) if value is not None else None


def _where(fault: Exception) -> str:
    # Not the message, which may quote what the caller sent.
    frame = fault.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "unknown place"
    return f"{type(fault).__name__} at {place}"
