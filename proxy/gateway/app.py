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
            config.callers.trusted_proxies,
            fingerprint_key(config.callers.fingerprint_key, config.callers.log),
            [known.rule for known in config.callers.known],
        )
        self._name_header = config.callers.header.lower().encode() if config.callers.header is not None else None
        self._log = log
        self._now = now
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        match = endpoints.match(scope["method"], scope["raw_path"].decode("latin-1"))
        answering = Answering(send, scope["method"])
        with contextlib.suppress(Gone):
            if match is None:
                await self._pass_through(scope, receive, answering)
            else:
                await self._withdrawn(match, scope, receive, answering)

    async def _withdrawn(self, match: endpoints.Match, scope: Scope, receive: Receive, answering: Answering) -> None:
        """The way of a call of a withdrawn endpoint, from its first byte to its last."""
        record = self._opened(match, scope)
        close = _Closing(self._log, record, answering, receive)
        response = None
        try:
            with self._place():
                headers.check(scope["headers"])
                record.workflow = match.workflow
                successor = match.successor.encode("latin-1")
                record.successor = _quoted(successor)
                if match.endpoint.is_trigger:
                    response = await self._translated(scope, receive, close)
                else:
                    await self._rewritten(successor, scope, receive, answering, close)
        except Gone:
            pass
        except Exception as problem:
            response = _failed(_error(problem, record.request_id), record, starts_run=match.endpoint.starts_run)
        finally:
            close()
        if response is not None and answering.status is None:
            response.headers.extend(self._announced(record))
            await answering.whole(response)

    async def _translated(self, scope: Scope, receive: Receive, close: "_Closing") -> Response:
        """The trigger: both bodies are translated."""
        record = close.record
        legacy = await whole_body(scope, receive, self._limits.body)
        request = trigger.to_successor(legacy, record.workflow or "")
        record.inputs, record.ignored_fields = request.inputs, request.ignored_fields
        request_id = (b"x-request-id", record.request_id.encode())
        with close.timed_upstream():
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

    async def _rewritten(
        self, successor: bytes, scope: Scope, receive: Receive, answering: Answering, close: "_Closing"
    ) -> None:
        """The rest of the withdrawn section: only the path has changed."""
        query = scope["target"].removeprefix(scope["raw_path"])
        with close.timed_upstream():
            await self._relay(scope, receive, answering, successor + query, close)

    async def _pass_through(self, scope: Scope, receive: Receive, answering: Answering) -> None:
        """Everything else: untouched, and not recorded."""
        try:
            headers.check(scope["headers"])
            await self._relay(scope, receive, answering, scope["target"])
        except Gone:
            pass
        except Exception as problem:
            request_id = _request_id(scope)
            error = _error(problem, request_id)
            if answering.status is None:
                await answering.whole(made_here(error, request_id))

    async def _relay(
        self,
        scope: Scope,
        receive: Receive,
        answering: Answering,
        target: bytes,
        close: "_Closing | None" = None,
    ) -> None:
        """Hand a call on under a target, and its answer back, both as they come; close its record before the end."""
        record = close.record if close is not None else None
        fields = headers.forwarded(scope["headers"], self._hop(scope))
        request_id = (b"x-request-id", record.request_id.encode()) if record is not None else None
        if request_id and request_id not in fields:
            fields = [*(header for header in fields if header[0] != b"x-request-id"), request_id]
        body = pieces(receive) if has_body(scope) else None
        async with self._upstream.stream(scope["method"], target, fields, body) as answer:
            if not 200 <= answer.status <= 599:
                raise errors.InvalidAnswer(f"The service answered with status {answer.status}.")
            back = headers.answered(answer.headers)
            if record is not None:
                record.upstream_status = answer.status
                record.outcome = "forwarded" if answer.status < 400 else "upstream_error"
                back += self._announced(record)
            if request_id and headers.first(back, b"x-request-id") is None:
                back.append(request_id)
            await answering.streamed(answer.status, back, answer.body, close or _nothing)

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
            _peer(scope),
            [value.decode("latin-1") for name, value in head if name == b"x-forwarded-for"],
            _text(headers.first(head, b"authorization"), "surrogateescape"),
            _text(headers.first(head, b"user-agent")),
            given_name=_text(headers.first(head, self._name_header)) if self._name_header is not None else None,
            repository=_repository(match),
            workflow=_workflow(match),
        )
        return CallRecord(
            schema=SCHEMA,
            ts=now,
            request_id=_request_id(scope),
            trace_id=headers.trace_id(headers.first(head, b"traceparent")),
            endpoint=match.endpoint.name,
            method=match.endpoint.method,
            path=_quoted(scope["raw_path"]),
            org=match.segments.get("org"),
            repo=match.segments.get("repo"),
            repo_id=match.segments.get("repo_id"),
            run=match.segments.get("run"),
            caller=caller.name,
            caller_source=caller.source,
            owner=caller.owner,
            token=caller.token,
            client_ip=caller.client_ip,
            user_agent=caller.user_agent,
            phase=lifecycle.phase(self._policy, now),
            outcome="interrupted",
            status=500,
        )

    def _hop(self, scope: Scope) -> headers.Hop:
        peer = _peer(scope)
        return headers.Hop(peer, self._identity.trusts(peer), scope["scheme"], scope["http_version"])

    def _announced(self, record: CallRecord) -> list[Header]:
        """The headers that announce the end."""
        successor = self._base + record.successor if record.successor is not None else None
        return [*self._announcement, *lifecycle.links(self._policy, successor)]


def _peer(scope: Scope) -> str | None:
    return scope["client"][0] if scope.get("client") else None


def _quoted(path: bytes) -> str:
    return quote_from_bytes(path, safe="/%!$&'()*+,;=:@-._~")


def _repository(match: endpoints.Match) -> str:
    segments = match.segments
    return f"id:{segments['repo_id']}" if "repo_id" in segments else f"{segments['org']}/{segments['repo']}"


def _workflow(match: endpoints.Match) -> str | None:
    try:
        return match.workflow
    except errors.InvalidPath:
        return None


def _request_id(scope: Scope) -> str:
    given = headers.sane_request_id(headers.first(scope["headers"], b"x-request-id"))
    return given.decode() if given else uuid.uuid4().hex


def _error(problem: Exception, request_id: str) -> errors.ProxyError:
    if isinstance(problem, errors.ProxyError):
        return problem
    operator.error(f"a fault of the proxy itself, in call {request_id}: {_where(problem)}")
    return errors.InternalError("The proxy failed.")


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


class _Closing:
    """Appends the record of a call, once, before its answer is whole: whoever has the answer finds the record."""

    def __init__(self, log: CallerLog, record: CallRecord, answering: Answering, receive: Receive) -> None:
        self.record = record
        self._log = log
        self._answering = answering
        self._receive = receive
        self._started = time.perf_counter()
        self._sent: float | None = None
        self._closed = False

    @contextlib.contextmanager
    def timed_upstream(self) -> Iterator[None]:
        """Measure the exchange with the successor, while the block runs."""
        self._sent = time.perf_counter()
        try:
            yield
        finally:
            self._time_upstream()

    def __call__(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._time_upstream()
        self.record.status = self._answering.status or self.record.status
        self.record.client_gone = self._answering.gone or is_gone(self._receive)
        self.record.duration_ms = _milliseconds(self._started)
        self._log.append(self.record)

    def _time_upstream(self) -> None:
        if self._sent is not None:
            self.record.upstream_ms, self._sent = _milliseconds(self._sent), None


def _nothing() -> None:
    pass


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
