"""The way of a call."""

import time
from collections.abc import Callable

import msgspec
from starlette.types import Receive, Scope, Send

from proxy import errors
from proxy.callers.ledger.current_calls import CurrentCalls
from proxy.config import Config
from proxy.gateway import headers
from proxy.gateway.call import refusal, result
from proxy.gateway.call.accounting import Accounting, RecordedAccounting
from proxy.gateway.call.body import begun_body, read_body
from proxy.gateway.call.concurrency_limit import ConcurrencyLimit
from proxy.gateway.call.policy import ActivePolicy
from proxy.gateway.call.records import Records
from proxy.gateway.call.responder import ClientDisconnected, Responder
from proxy.gateway.call.result import CallResult, Response
from proxy.gateway.call.retries import Retries, key_of
from proxy.gateway.call.shared_tries import SharedTries
from proxy.gateway.call.slashes import Slashes, meant
from proxy.gateway.call.successors import Successors
from proxy.gateway.call.withdrawn_call import WithdrawnCall, quoted, request_id_of
from proxy.gateway.delivery import PATIENCE
from proxy.gateway.head import EXTENSION, Head
from proxy.gateway.headers import Header
from proxy.gateway.metrics import Metrics
from proxy.gateway.server.request import METHODS
from proxy.gateway.upstream.upstream import Upstream
from proxy.output.diagnostics import log
from proxy.withdrawn import endpoints, run_workflows, trigger
from proxy.withdrawn.endpoints import Match

_RUNS = b"/cicd/runs"
"""Is in the path of current calls that start or show runs. They show who has moved."""


class Gateway:
    """Serves the calls of the public listener: an ASGI application.

    Args:
        config: the whole configuration.
        policy: decides who may call.
        upstream: the service.
        records: writes what became of the calls.
        metrics: counts them.
        refused: called when a limit has refused a call.
        shared: the lost tries of all processes.
        retry_key: tells calls apart, see `retries.derived_key`.
        current_calls: counts current calls by token; None if there is no ledger.
    """

    def __init__(
        self,
        config: Config,
        policy: ActivePolicy,
        upstream: Upstream,
        records: Records,
        metrics: Metrics,
        *,
        refused: Callable[[errors.Limit], None],
        shared: SharedTries,
        retry_key: bytes,
        current_calls: CurrentCalls | None,
    ) -> None:
        self._body_limit = config.limits.body
        self._upstream = upstream
        self._policy = policy
        self._name_header = (config.callers.header or "").lower().encode()
        self._single = headers.SINGLE | {self._name_header}
        self._records = records
        self._metrics = metrics
        self._refused = refused
        # Each kind of call has its own limit and its own connections, so that neither starves the other.
        self._starting = ConcurrencyLimit(config.limits.in_flight)
        self._relayed = ConcurrencyLimit(config.limits.in_flight)
        self._retries = Retries(
            config.limits.retry_window,
            time.monotonic,
            patience=longest_call(config),
            waiting=config.limits.in_flight,
            shared=shared,
        )
        self._retry_key = retry_key
        self._current_calls = current_calls
        self._slashes = Slashes()
        self._successors = Successors()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        head: Head = scope["extensions"][EXTENSION]
        responder = Responder(scope, receive, send)
        match = endpoints.match(head.method, head.path.decode("latin-1"))
        try:
            if match is not None:
                await self._withdrawn(match, head, receive, responder)
            elif head.method == "OPTIONS" and headers.ends_here(head.target, head.headers):
                await responder.send(Response(200, [(b"allow", METHODS)], b""))
            else:
                await self._pass_through(head, receive, responder)
        except ClientDisconnected:
            pass

    async def _withdrawn(self, match: Match, head: Head, receive: Receive, responder: Responder) -> None:
        """A call of a withdrawn endpoint, from its head to the end of its response."""
        call = self._identify(head, match)
        accounting = RecordedAccounting(self._metrics, responder, call, self._records)
        try:
            headers.check(head.headers, head.first_values, head.version, self._single)
            refusal.check(call)
            if match.endpoint.starts_run:
                accounting.result = await self._start_run(call, receive, accounting)
            else:  # only the path has changed
                await self._relay(head, _successor_target(call), receive, responder, accounting, call=call)
                await head.delivery.settled()
        except ClientDisconnected:
            pass
        except Exception as problem:
            error = self._as_proxy_error(problem, call.request_id)
            accounting.result = result.failed(error, call.request_id, starts_run=match.endpoint.starts_run)
        except BaseException:
            accounting.finish()
            raise
        if call.predecessor is not None and accounting.result.status < 400:  # the service has accepted its token
            self._successors.name(call.caller, call.predecessor)
        response = accounting.result.response
        if response is None or responder.status is not None:  # streamed, or the caller is gone
            accounting.finish()
            return
        response.raw_headers += call.announcement()
        if accounting.awaits_delivery:
            try:
                await responder.send(response)
                await head.delivery.settled()
            finally:
                accounting.finish()
            return
        if self._starting.is_used:  # others may end now, too
            await accounting.finish_batched()
        accounting.finish()
        await responder.send(response)
        head.delivery.sent()

    async def _start_run(self, call: WithdrawnCall, receive: Receive, accounting: RecordedAccounting) -> CallResult:
        """Forward a call that starts a run, unless it is a retry: that takes over the run of its lost try."""
        head, translates = call.head, call.match.endpoint.is_trigger
        body = await read_body(receive, head.held, head.first_values.get(b"content-length"), self._body_limit)
        request = trigger.to_successor(body, call.workflow or "") if translates else run_workflows.to_successor(body)
        accounting.request = request
        key = key_of(self._retry_key, head.first_values.get(b"authorization", b""), head.target, body)
        with self._retries.begin(key, head.delivery) as attempt:
            run = await attempt.take_over()
            if run is not None:
                attempt.run = trigger.taken_over(run)
                return result.started(attempt.run, call.request_id, "redelivered")
            with self._starting:
                accounting.forward_started()
                answer = await self._upstream.post(*self._successor_call(call, translates=translates), request.body)
                accounting.forward_finished()
            call_result = (result.translated if translates else result.unchanged)(answer, call.request_id)
            attempt.run = call_result.run
            return call_result

    def _successor_call(self, call: WithdrawnCall, *, translates: bool) -> tuple[bytes, list[Header]]:
        """The target and the headers of the call that starts a run."""
        head, hop, call_id = call.head, self._hop(call.head), call.request_id.encode()
        if translates:  # the withdrawn endpoint had no query
            return call.match.successor.encode("latin-1"), headers.translated(
                head.headers, head.first_values, hop, call_id
            )
        return _successor_target(call), headers.whole(head.headers, head.first_values, hop, call_id)

    async def _pass_through(self, head: Head, receive: Receive, responder: Responder) -> None:
        """Everything else: forwarded unchanged, and not recorded."""
        accounting = Accounting(self._metrics, responder)
        try:
            headers.check(head.headers, head.first_values, head.version, headers.CREDENTIALS)
            if head.method == "OPTIONS" and b"max-forwards" in head.first_values:
                head = msgspec.structs.replace(head, headers=headers.one_hop_less(head.headers))
            if b"//" in head.path:
                self._look_at_slashes(head)
            await self._relay(head, head.target, receive, responder, accounting)
            if _RUNS in head.path and self._current_calls is not None and accounting.result.status < 400:
                self._current_calls.add(head.first_values.get(b"authorization"))
        except ClientDisconnected:
            pass
        except Exception as problem:
            call_id = request_id_of(head.first_values)
            accounting.result = result.failed(self._as_proxy_error(problem, call_id), call_id)
        finally:
            accounting.finish()
        if accounting.result.response is not None and responder.status is None:
            await responder.send(accounting.result.response)

    def _look_at_slashes(self, head: Head) -> None:
        match = meant(head.method, head.path.decode("latin-1"))
        if match is not None:
            self._slashes.name(self._identify(head, match).caller, f"{head.method} {quoted(head.path)}")

    async def _relay(
        self,
        head: Head,
        target: bytes,
        receive: Receive,
        responder: Responder,
        accounting: Accounting,
        *,
        call: WithdrawnCall | None = None,
    ) -> None:
        """Pass a call on under a target, and its response back, both bodies as they arrive."""
        fields = headers.forwarded(head.headers, head.first_values, self._hop(head))
        if call is not None:
            fields = [header for header in fields if header[0] != b"x-request-id"]
            fields.append((b"x-request-id", call.request_id.encode()))
        has_body = b"transfer-encoding" in head.first_values or head.first_values.get(b"content-length", b"0") != b"0"
        body = await begun_body(receive, head.held) if has_body else None
        with self._relayed:
            accounting.forward_started()
            async with self._upstream.stream(head.method, target, fields, body) as answer:
                accounting.result = result.streamed(answer.status)
                back = headers.response_headers(answer.headers)
                if call is not None:
                    back = result.identified([*back, *call.announcement()], call.request_id)
                await responder.stream(answer.status, back, answer.body, accounting.response_ending)

    def _as_proxy_error(self, problem: Exception, request_id: str) -> errors.ProxyError:
        if isinstance(problem, errors.ProxyError):
            if problem.limit is not None:
                self._refused(problem.limit)
            # Its frames hold the body, and would live until the next full garbage collection.
            problem.__traceback__ = problem.__context__ = problem.__cause__ = None
            return problem
        exception, place = type(problem).__name__, _where(problem)
        log.error("internal_error", during="a call", exception=exception, place=place, request_id=request_id)
        return errors.InternalError("The proxy failed.")

    def _identify(self, head: Head, match: Match) -> WithdrawnCall:
        snapshot, now = self._policy.snapshot, self._policy.now()
        return WithdrawnCall.of(head, match, snapshot, self._name_header, now=now)

    def _hop(self, head: Head) -> headers.Hop:
        trusted = self._policy.snapshot.identity.trusts(head.peer)
        return headers.Hop(head.peer, trusted, head.scheme, head.version)


def longest_call(config: Config) -> float:
    """Seconds that a call takes at most, unless it waits for others first."""
    return config.upstream.timeout + 2 * PATIENCE


def _successor_target(call: WithdrawnCall) -> bytes:
    return call.match.successor.encode("latin-1") + call.head.target.removeprefix(call.head.path)


def _where(fault: Exception) -> str:
    # Without the message, which may quote what the caller sent.
    frame = fault.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "unknown"
