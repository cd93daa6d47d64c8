"""The way of a call."""

import functools
import os
import time
from collections.abc import Mapping
from urllib.parse import quote_from_bytes

from starlette.types import Receive, Scope, Send

from proxy import errors
from proxy.callers.identity import Caller
from proxy.callers.record import SCHEMA, CallRecord
from proxy.config import Config
from proxy.gateway import headers
from proxy.gateway.call import responses
from proxy.gateway.call.accounting import Closing, Passing, Recording
from proxy.gateway.call.asgi import Answering, Gone, Response, has_body, made_here, pieces, whole_body
from proxy.gateway.call.places import Places
from proxy.gateway.call.policy import InForce, Visit
from proxy.gateway.call.records import Records
from proxy.gateway.call.retries import Retries, key_of
from proxy.gateway.call.slashes import Slashes, meant
from proxy.gateway.delivery import PATIENCE, Delivery
from proxy.gateway.metrics import Metrics
from proxy.gateway.server.request import METHODS
from proxy.gateway.upstream.upstream import Stream, Upstream
from proxy.output.diagnostics import log
from proxy.withdrawn import endpoints, run_workflows, trigger


class Gateway:
    """The public listener."""

    def __init__(
        self, config: Config, in_force: InForce, upstream: Upstream, records: Records, metrics: Metrics
    ) -> None:
        self._body_limit = config.limits.body
        self._upstream = upstream
        self._base = config.upstream.url
        self._in_force = in_force
        self._name_header = (config.callers.header or "").lower().encode()
        self._single = headers.SINGLE | {self._name_header}
        self._records = records
        self._metrics = metrics
        # Each has its own, and its own connections: neither must starve the other.
        self._triggers, self._streams = Places(config.limits.in_flight), Places(config.limits.in_flight)
        self._retries = Retries(
            config.limits.retry_window,
            time.monotonic,
            patience=config.upstream.timeout + 2 * PATIENCE,  # no single call takes longer
            waiting=config.limits.in_flight,
        )
        self._slashes = Slashes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        match = endpoints.match(scope["method"], scope["raw_path"].decode("latin-1"))
        answering = Answering(send, scope["method"])
        try:
            if match is not None:
                await self._withdrawn(match, scope, receive, answering)
            elif scope["method"] == "OPTIONS" and headers.ends_here(scope["target"], scope["headers"]):
                await answering.whole(Response(200, [(b"allow", METHODS)], b""))
            else:
                await self._pass_through(scope, receive, answering)
        except Gone:
            pass

    async def _withdrawn(self, match: endpoints.Match, scope: Scope, receive: Receive, answering: Answering) -> None:
        """The way of a call of a withdrawn endpoint, from its first byte to its last."""
        visit = self._visit(scope, match)
        record = visit.record
        delivery: Delivery = scope["delivery"]
        close = Recording(self._metrics, answering, record, self._records, delivery)
        response = None
        try:
            headers.check(scope["headers"], scope["fields"], scope["http_version"], self._single)
            record.workflow = match.workflow
            successor = match.successor.encode("latin-1")
            record.successor = _quoted(successor)
            visit.check()
            target = successor + scope["target"].removeprefix(scope["raw_path"])
            if match.endpoint.is_trigger:  # which has no query
                response = await self._started(scope, receive, close, successor, translates=True)
            elif match.endpoint.starts_run:
                response = await self._started(scope, receive, close, target, translates=False)
            else:  # of the rest of the section only the path has changed
                await self._relay(scope, receive, answering, target, close, visit=visit)
                await delivery.settled()
        except Gone:
            pass
        except Exception as problem:
            response = responses.failed(
                _error(problem, record.request_id), record, starts_run=match.endpoint.starts_run
            )
        except BaseException:
            close()
            raise
        half_closed = close.waits
        if not half_closed:
            await close.beside(others=self._triggers.are_taken)
        try:
            if response is not None and answering.status is None:
                response.headers.extend(visit.announced())
                await answering.whole(response)
                if half_closed:
                    await delivery.settled()
        finally:
            close()

    async def _started(
        self, scope: Scope, receive: Receive, close: Recording, target: bytes, *, translates: bool
    ) -> Response:
        """A call that starts a run, unless it is a retry, which takes over the run of its lost try.

        Args:
            scope: of the call.
            receive: gives its body.
            close: records it.
            target: where it goes: path and query.
            translates: whether both bodies are translated; if not, they go on as they came.
        """
        record = close.record
        legacy = await whole_body(scope, receive, self._body_limit)
        if translates:
            request = trigger.to_successor(legacy, record.workflow or "")
        else:
            request = run_workflows.to_successor(legacy)
        record.inputs, record.ignored_fields, record.hint = request.inputs, request.ignored_fields, request.hint
        key = key_of(scope["fields"].get(b"authorization", b""), scope["target"], legacy)
        with self._retries.begin(key, scope["delivery"]) as attempt:
            run = await attempt.taken_over()
            if run is not None:
                attempt.run = trigger.taken_over(run)
                return responses.delivered(attempt.run, record, "redelivered")
            fields = (headers.translated if translates else headers.whole)(
                scope["headers"], self._hop(scope), record.request_id.encode()
            )
            with self._triggers:
                close.sent()
                answer = await self._upstream.post(target, fields, request.body)
                close.received()
            record.upstream_status = answer.status
            attempt.run, response = (responses.translated if translates else responses.as_it_came)(answer, record)
            return response

    async def _pass_through(self, scope: Scope, receive: Receive, answering: Answering) -> None:
        """Everything else: untouched, and not recorded."""
        close = Passing(self._metrics, answering)
        response = None
        try:
            headers.check(scope["headers"], scope["fields"], scope["http_version"], headers.CREDENTIALS)
            if scope["method"] == "OPTIONS" and b"max-forwards" in scope["fields"]:
                scope["headers"] = headers.one_hop_less(scope["headers"])
            if b"//" in scope["raw_path"]:
                self._look_at_slashes(scope)
            await self._relay(scope, receive, answering, scope["target"], close)
        except Gone:
            pass
        except Exception as problem:
            request_id = _request_id(scope["fields"])
            error = _error(problem, request_id)
            close.failed(error)
            response = made_here(error, request_id)
        finally:
            close()
        if response is not None and answering.status is None:
            await answering.whole(response)

    def _look_at_slashes(self, scope: Scope) -> None:
        match = meant(scope["method"], scope["raw_path"].decode("latin-1"))
        if match is not None:
            self._slashes.name(self._caller(scope, match), f"{scope['method']} {_quoted(scope['raw_path'])}")

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
        if visit is not None:
            fields = [*(header for header in fields if header[0] != b"x-request-id"), visit.request_id]
        body = pieces(receive) if has_body(scope) else None
        with self._streams:
            close.sent()
            async with self._upstream.stream(scope["method"], target, fields, body) as answer:
                await self._streamed(answer, answering, close, visit)

    async def _streamed(self, answer: Stream, answering: Answering, close: Closing, visit: Visit | None) -> None:
        if not 200 <= answer.status <= 599:
            raise errors.InvalidAnswer(f"The service answered with status {answer.status}.")
        close.came(answer.status)
        back = headers.answered(answer.headers)
        if visit is not None:
            back += visit.announced()
            if headers.first(back, b"x-request-id") is None:
                back.append(visit.request_id)
        await answering.streamed(answer.status, back, answer.body, close.ending)

    def _visit(self, scope: Scope, match: endpoints.Match) -> Visit:
        """A call of which the head is known: until something better is, its record says that it was interrupted."""
        fields: Mapping[bytes, bytes] = scope["fields"]
        now, terms = self._in_force.now(), self._in_force.terms
        caller = self._caller(scope, match)
        party = terms.party(caller)
        decision = terms.decide(party, now)
        record = CallRecord(
            schema=SCHEMA,
            ts=now,
            request_id=_request_id(fields),
            trace_id=headers.trace_id(fields.get(b"traceparent")),
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
            phase=decision.phase,
            outcome="interrupted",
            status=500,
        )
        return Visit(terms, party, decision, record, self._base)

    def _caller(self, scope: Scope, match: endpoints.Match) -> Caller:
        fields: Mapping[bytes, bytes] = scope["fields"]
        hops = headers.values(scope["headers"], b"x-forwarded-for") if b"x-forwarded-for" in fields else []
        return self._in_force.terms.identity.identify(
            _peer(scope),
            [hop.decode("latin-1") for hop in hops],
            _text(fields.get(b"authorization"), "surrogateescape"),
            _text(fields.get(b"user-agent")),
            declared_name=_text(fields.get(self._name_header)),
            repository=match.repository,
            workflow=_workflow(match),
        )

    def _hop(self, scope: Scope) -> headers.Hop:
        peer = _peer(scope)
        return headers.Hop(peer, self._in_force.terms.identity.trusts(peer), scope["scheme"], scope["http_version"])


def _peer(scope: Scope) -> str | None:
    return scope["client"][0] if scope.get("client") else None


def _quoted(path: bytes) -> str:
    return _remembered(path) if len(path) <= _LONGEST_REMEMBERED else _quote(path)


def _quote(path: bytes) -> str:
    return quote_from_bytes(path, safe="/%!$&'()*+,;=:@-._~")


# As with the endpoints: the same few paths come again and again.
_LONGEST_REMEMBERED = 256
_remembered = functools.lru_cache(1024)(_quote)


def _workflow(match: endpoints.Match) -> str | None:
    try:
        return match.workflow
    except errors.InvalidPath:
        return None


def _request_id(fields: Mapping[bytes, bytes]) -> str:
    given = headers.sane_request_id(fields.get(b"x-request-id"))
    return given.decode() if given else os.urandom(16).hex()


def _error(problem: Exception, request_id: str) -> errors.ProxyError:
    if isinstance(problem, errors.ProxyError):
        return problem
    exception, place = type(problem).__name__, _where(problem)
    log.error("internal_error", during="a call", exception=exception, place=place, request_id=request_id)
    return errors.InternalError("The proxy failed.")


def _text(value: bytes | None, unfit: str = "replace") -> str | None:
    return value.decode("utf-8", unfit) if value is not None else None


def _where(fault: Exception) -> str:
    # Not the message, which may quote what the caller sent.
    frame = fault.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "unknown"
