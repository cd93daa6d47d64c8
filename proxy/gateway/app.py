"""The way of a call, and what it needs on that way."""

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
from starlette.types import Receive, Scope, Send

from proxy import errors
from proxy.callers.log import CallerLog, fingerprint_key, operator
from proxy.callers.record import SCHEMA, CallRecord, Heartbeat
from proxy.config import Config
from proxy.gateway import headers
from proxy.gateway.admin import Admin
from proxy.gateway.asgi import JSON, Answering, Gone, Response, has_body, made_here, pieces, whole_body
from proxy.gateway.closing import Closing, Passing, Recording
from proxy.gateway.headers import Header, Headers
from proxy.gateway.live import LiveReport
from proxy.gateway.metrics import Metrics
from proxy.gateway.terms import Clock, InForce, Visit
from proxy.gateway.upstream import Upstream
from proxy.withdrawn import endpoints, trigger


class App:
    """Both listeners, and what lives as long as they do.

    Args:
        config: the whole configuration.
        admin_port: the port whose connections are for the admin listener; None where there is none.
        transport: stands in for the network; None is the real one.
        now: the time, in UTC.
        metrics: where several workers share what they count.

    Raises:
        OSError: the caller log or the fingerprint key cannot be opened.
    """

    def __init__(
        self,
        config: Config,
        admin_port: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Clock = lambda: datetime.now(UTC),
        metrics: Metrics | None = None,
    ) -> None:
        self._config = config
        self._interval = config.callers.heartbeat
        self._admin_port = admin_port
        self._now = now
        self._log = CallerLog(config.callers.log)
        self._upstream = Upstream(config.upstream, transport)
        self._metrics = metrics or Metrics(config)
        self._admin = Admin(self._lifespan, self._metrics, LiveReport(config))
        self._in_force = InForce(config, fingerprint_key(config.callers.fingerprint_key, config.callers.log), now)
        self._gateway = Gateway(config, self._in_force, self._upstream, self._log, self._metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a connection's call to the listener that it came in on."""
        if scope["type"] == "lifespan" or scope["server"][1] == self._admin_port:
            await self._admin(scope, receive, send)
        elif scope["raw_path"].startswith(b"/-/"):
            await self._admin.probes(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)

    async def adopt(self, config: Config) -> None:
        """Put the policy and the known callers of a configuration in force, between two calls.

        Args:
            config: the whole configuration, which differs from the one in force in nothing else.

        Raises:
            Exception: whatever is wrong, all is as it was.
        """
        report = LiveReport(config)
        terms = await self._in_force.prepared(config)
        self._metrics.know(config)
        self._in_force.put(terms)
        self._admin.report = report

    def close(self) -> None:
        """Close the caller log."""
        self._log.close()

    @contextlib.asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[Mapping[str, Any]]:
        async with self._upstream.transport:
            self._beat("start")
            beating = asyncio.create_task(self._keep_beating())
            await self.adopt(self._config)
            yield {"connected": self._connected}
            self._in_force.close()
            beating.cancel()
            self._beat("stop")
        self.close()

    def _connected(self, port: int, by: int) -> None:
        """Hear of connections that begin and end."""
        if port != self._admin_port:
            self._metrics.connected(by)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            self._beat("interval")

    def _beat(self, at: Any) -> None:
        instance = f"{socket.gethostname()}:{os.getpid()}"
        heartbeat = Heartbeat(SCHEMA, self._now(), at, self._interval, instance)
        self._metrics.logged(written=self._log.append(heartbeat))


class Gateway:
    """The public listener."""

    def __init__(self, config: Config, in_force: InForce, upstream: Upstream, log: CallerLog, metrics: Metrics) -> None:
        self._limits = config.limits
        self._upstream = upstream
        self._base = config.upstream.url
        self._in_force = in_force
        self._name_header = config.callers.header.lower().encode() if config.callers.header is not None else None
        self._log = log
        self._metrics = metrics
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
        visit = self._visit(scope, match)
        record = visit.record
        close = Recording(self._metrics, answering, record, self._log, receive)
        response = None
        try:
            headers.check(scope["headers"])
            record.workflow = match.workflow
            successor = match.successor.encode("latin-1")
            record.successor = _quoted(successor)
            visit.check()
            if match.endpoint.is_trigger:
                response = await self._translated(scope, receive, close)
            else:  # of the rest of the section only the path has changed
                target = successor + scope["target"].removeprefix(scope["raw_path"])
                with self._place():
                    await self._relay(scope, receive, answering, target, close, visit=visit)
        except Gone:
            pass
        except Exception as problem:
            response = _failed(_error(problem, record.request_id), record, starts_run=match.endpoint.starts_run)
        finally:
            close()
        if response is not None and answering.status is None:
            response.headers.extend(visit.announced())
            await answering.whole(response)

    async def _translated(self, scope: Scope, receive: Receive, close: Recording) -> Response:
        """The trigger: both bodies are translated."""
        record = close.record
        legacy = await whole_body(scope, receive, self._limits.body)
        request = trigger.to_successor(legacy, record.workflow or "")
        record.inputs, record.ignored_fields = request.inputs, request.ignored_fields
        request_id = (b"x-request-id", record.request_id.encode())
        with self._place():  # not before the body is whole, or slow callers would have them all
            close.sent()
            answer = await self._upstream.post(
                record.successor or "",
                headers.translated(scope["headers"], self._hop(scope), request_id[1]),
                request.body,
            )
            close.received()
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

    async def _pass_through(self, scope: Scope, receive: Receive, answering: Answering) -> None:
        """Everything else: untouched, and not recorded."""
        close = Passing(self._metrics, answering)
        response = None
        try:
            headers.check(scope["headers"])
            await self._relay(scope, receive, answering, scope["target"], close)
        except Gone:
            pass
        except Exception as problem:
            request_id = _request_id(scope)
            error = _error(problem, request_id)
            close.failed(error)
            response = made_here(error, request_id)
        finally:
            close()
        if response is not None and answering.status is None:
            await answering.whole(response)

    async def _relay(
        self,
        scope: Scope,
        receive: Receive,
        answering: Answering,
        target: bytes,
        close: Closing,
        *,
        visit: Visit | None = None,
    ) -> None:
        """Hand a call on under a target, and its answer back, both as they come; close it before the end."""
        fields = headers.forwarded(scope["headers"], self._hop(scope))
        request_id = (b"x-request-id", visit.record.request_id.encode()) if visit is not None else None
        if request_id and request_id not in fields:
            fields = [*(header for header in fields if header[0] != b"x-request-id"), request_id]
        body = pieces(receive) if has_body(scope) else None
        close.sent()
        async with self._upstream.stream(scope["method"], target, fields, body) as answer:
            if not 200 <= answer.status <= 599:
                raise errors.InvalidAnswer(f"The service answered with status {answer.status}.")
            close.came(answer.status)
            back = headers.answered(answer.headers)
            if visit is not None:
                back += visit.announced()
            if request_id and headers.first(back, b"x-request-id") is None:
                back.append(request_id)
            await answering.streamed(answer.status, back, answer.body, close)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self._in_flight >= self._limits.in_flight:
            raise errors.Overloaded("The proxy has as many calls under way as it may have.")
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def _visit(self, scope: Scope, match: endpoints.Match) -> Visit:
        """A call of which the head is known: until something better is, its record says that it was interrupted."""
        head: Headers = scope["headers"]
        now, terms = self._in_force.now(), self._in_force.terms
        caller = terms.identity.identify(
            _peer(scope),
            [value.decode("latin-1") for name, value in head if name == b"x-forwarded-for"],
            _text(headers.first(head, b"authorization"), "surrogateescape"),
            _text(headers.first(head, b"user-agent")),
            given_name=_text(headers.first(head, self._name_header)) if self._name_header is not None else None,
            repository=_repository(match),
            workflow=_workflow(match),
        )
        standing = terms.standing(caller, now)
        record = CallRecord(
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
            phase=standing.phase,
            outcome="interrupted",
            status=500,
        )
        return Visit(terms, caller, standing, record, self._base)

    def _hop(self, scope: Scope) -> headers.Hop:
        peer = _peer(scope)
        return headers.Hop(peer, self._in_force.terms.identity.trusts(peer), scope["scheme"], scope["http_version"])


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


def _text(value: bytes | None, unfit: str = "replace") -> str | None:
    return value.decode("utf-8", unfit) if value is not None else None


def _where(fault: Exception) -> str:
    # Not the message, which may quote what the caller sent.
    frame = fault.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "unknown place"
    return f"{type(fault).__name__} at {place}"
