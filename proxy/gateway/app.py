"""The way of a call, and what it needs on that way."""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
from starlette.types import Receive, Scope, Send

from proxy import errors
from proxy.callers.identity import Identity
from proxy.callers.log import CallerLog, fingerprint_key, operator
from proxy.callers.record import SCHEMA, CallRecord, Heartbeat
from proxy.config import Config
from proxy.gateway import headers
from proxy.gateway.admin import Health
from proxy.gateway.asgi import JSON, Answering, Gone, Response, has_body, is_gone, made_here, pieces, whole_body
from proxy.gateway.headers import Header, Headers
from proxy.gateway.upstream import Upstream
from proxy.withdrawn import endpoints, lifecycle, trigger

Clock = Callable[[], datetime]


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
    """The public listener."""

    def __init__(self, config: Config, upstream: Upstream, log: CallerLog, now: Clock) -> None:
        self._limits = config.limits
        self._upstream = upstream
        self._base = config.upstream.url
        self._policy = config.lifecycle.policy
        self._announcement = lifecycle.announcement(self._policy)
        self._identity = Identity(
            config.callers.trusted_proxies, fingerprint_key(config.callers.fingerprint_key, config.callers.log)
        )
        self._log = log
        self._now = now
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        match = endpoints.match(scope["method"], scope["raw_path"].decode("latin-1"))
        answering = Answering(send)
        with contextlib.suppress(Gone):
            if match is None:
                await self._pass_through(scope, receive, answering)
            else:
                await self._withdrawn(match, scope, receive, answering)

    async def _withdrawn(self, match: endpoints.Match, scope: Scope, receive: Receive, answering: Answering) -> None:
        """The way of a call of a withdrawn endpoint, from its first byte to its last."""
        started = time.perf_counter()
        record = self._opened(match, scope)
        response = None
        try:
            with self._place():
                headers.check(scope["headers"])
                record.workflow = match.workflow
                record.successor = match.successor
                if match.endpoint.is_trigger:
                    response = await self._translated(scope, receive, record)
                else:
                    await self._rewritten(scope, receive, answering, record)
        except errors.ProxyError as error:
            response = _failed(error, record, starts_run=match.endpoint.starts_run)
        except Gone:
            pass
        except Exception as fault:
            operator.error(f"a fault of the proxy itself, in call {record.request_id}: {_where(fault)}")
            ours = errors.InternalError("The proxy failed.")
            response = _failed(ours, record, starts_run=match.endpoint.starts_run)
        finally:
            record.client_gone = answering.gone or is_gone(receive)
            record.duration_ms = _milliseconds(started)
            self._log.append(record)
        if response is not None and not answering.begun:
            response.headers.extend(self._announced(record))
            await answering.whole(response)

    async def _translated(self, scope: Scope, receive: Receive, record: CallRecord) -> Response:
        """The trigger: both bodies are translated."""
        legacy = await whole_body(scope, receive, self._limits.body)
        request = trigger.to_successor(legacy, record.workflow or "")
        record.inputs, record.ignored_fields = request.inputs, request.ignored_fields
        request_id = (b"x-request-id", record.request_id.encode())
        with _timed(record):
            answer = await self._upstream.post(
                record.successor or "",
                headers.translated(scope["headers"], self._hop(scope), request_id[1]),
                request.body,
            )
        record.upstream_status = answer.status
        kept = headers.kept(answer.headers)
        try:
            legacy_answer = trigger.to_legacy(answer.status, answer.body)
        except errors.UpstreamError as error:
            return _failed(error, record, starts_run=True, kept=kept)
        _note(record, legacy_answer)
        if legacy_answer.error_code is None:
            return Response(200, [JSON, request_id], legacy_answer.body)
        if headers.first(kept, request_id[0]) is None:
            kept.append(request_id)
        return Response(legacy_answer.status, [JSON, *kept], legacy_answer.body)

    async def _rewritten(self, scope: Scope, receive: Receive, answering: Answering, record: CallRecord) -> None:
        """The rest of the withdrawn section: only the path has changed."""
        query = scope["target"].removeprefix(scope["raw_path"])
        with _timed(record):
            await self._relay(scope, receive, answering, (record.successor or "").encode("latin-1") + query, record)

    async def _pass_through(self, scope: Scope, receive: Receive, answering: Answering) -> None:
        """Everything else: untouched, and not recorded."""
        try:
            headers.check(scope["headers"])
            await self._relay(scope, receive, answering, scope["target"], None)
        except errors.ProxyError as error:
            if not answering.begun:
                await answering.whole(made_here(error, uuid.uuid4().hex))

    async def _relay(
        self, scope: Scope, receive: Receive, answering: Answering, target: bytes, record: CallRecord | None
    ) -> None:
        """Hand a call on under a target, and its answer back, both as they come."""
        fields = headers.forwarded(scope["headers"], self._hop(scope))
        if record is not None and headers.first(fields, b"x-request-id") != record.request_id.encode():
            fields = [header for header in fields if header[0] != b"x-request-id"]
            fields.append((b"x-request-id", record.request_id.encode()))
        body = pieces(receive) if has_body(scope) else None
        async with self._upstream.stream(scope["method"], target, fields, body) as answer:
            if not 200 <= answer.status <= 599:
                raise errors.InvalidAnswer(f"The service answered with status {answer.status}.")
            back = headers.answered(answer.headers)
            if record is not None:
                record.status = record.upstream_status = answer.status
                record.outcome = "forwarded" if answer.status < 400 else "upstream_error"
                back += self._announced(record)
            await answering.streamed(answer.status, back, answer.body)

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

    def _hop(self, scope: Scope) -> headers.Hop:
        peer = scope["client"][0] if scope.get("client") else None
        return headers.Hop(peer, self._identity.trusts(peer), scope["scheme"], scope["http_version"])

    def _announced(self, record: CallRecord) -> list[Header]:
        """The headers that announce the end."""
        successor = None
        if record.successor is not None:
            successor = self._base + quote_from_bytes(record.successor.encode("latin-1"), safe=_PATH_CHARACTERS)
        return [*self._announcement, *lifecycle.links(self._policy, successor)]


_PATH_CHARACTERS = "/%!$&'()*+,;=:@-._~"


def _note(record: CallRecord, answer: trigger.LegacyAnswer) -> None:
    record.outcome = "forwarded" if answer.error_code is None else "upstream_error"
    record.status, record.error_code = answer.status, answer.error_code
    record.run, record.trigger_status, record.run_user = answer.run, answer.trigger_status, answer.run_user


def _failed(
    error: errors.ProxyError, record: CallRecord, *, starts_run: bool, kept: list[Header] | None = None
) -> Response:
    record.outcome, record.status, record.error_code = error.outcome, error.status, error.code
    record.upstream_status = record.upstream_status or error.upstream_status
    return made_here(error, record.request_id, starts_run=starts_run, kept=kept)


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
