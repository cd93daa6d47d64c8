"""The way of a call."""

import time

import msgspec
from starlette.types import Receive, Scope, Send

from proxy import errors
from proxy.config import Config
from proxy.gateway import headers
from proxy.gateway.call import refusal, result
from proxy.gateway.call.accounting import Accounting, PassThroughAccounting, RecordedAccounting
from proxy.gateway.call.body import read_body
from proxy.gateway.call.concurrency_limit import ConcurrencyLimit
from proxy.gateway.call.head import Head
from proxy.gateway.call.policy import ActivePolicy
from proxy.gateway.call.records import Records
from proxy.gateway.call.relay import Relay
from proxy.gateway.call.responder import ClientDisconnected, Responder
from proxy.gateway.call.responses import Response
from proxy.gateway.call.result import CallResult
from proxy.gateway.call.retries import Retries, key_of
from proxy.gateway.call.slashes import Slashes, meant
from proxy.gateway.call.withdrawn_call import WithdrawnCall, identify, quoted, request_id
from proxy.gateway.delivery import PATIENCE, Delivery
from proxy.gateway.metrics import Metrics
from proxy.gateway.server.request import METHODS
from proxy.gateway.upstream.upstream import Upstream
from proxy.output.diagnostics import operator
from proxy.withdrawn import endpoints, run_workflows, trigger
from proxy.withdrawn.endpoints import Match


class Gateway:
    """Serves the calls of the public listener: an ASGI application."""

    def __init__(
        self, config: Config, policy: ActivePolicy, upstream: Upstream, records: Records, metrics: Metrics
    ) -> None:
        self._body_limit = config.limits.body
        self._upstream = upstream
        self._base = config.upstream.url
        self._policy = policy
        self._name_header = (config.callers.header or "").lower().encode()
        self._single = headers.SINGLE | {self._name_header}
        self._records = records
        self._metrics = metrics
        # Each kind of call has its own limit and its own connections, so that neither starves the other.
        self._in_flight = ConcurrencyLimit(config.limits.in_flight)
        self._relay = Relay(upstream, config.limits.in_flight)
        self._retries = Retries(
            config.limits.retry_window,
            time.monotonic,
            patience=config.upstream.timeout + 2 * PATIENCE,  # no single call takes longer
            waiting=config.limits.in_flight,
        )
        self._slashes = Slashes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        head = Head.of(scope)
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
        policy = self._policy.snapshot
        caller = identify(policy.identity, head, match, self._name_header)
        call = WithdrawnCall.of(head, match, caller, policy, now=self._policy.now(), base=self._base)
        accounting = RecordedAccounting(self._metrics, responder, call, self._records)
        try:
            headers.check(head.headers, head.first_values, head.version, self._single)
            refusal.check(call)
            if match.endpoint.starts_run:
                accounting.result = await self._start_run(call, receive, accounting)
            else:  # only the path has changed
                target = match.successor.encode("latin-1") + head.target.removeprefix(head.path)
                await self._relay(head, receive, responder, accounting, hop=self._hop(head), target=target, call=call)
                await head.delivery.settled()
        except ClientDisconnected:
            pass
        except Exception as problem:
            error = _as_proxy_error(problem, call.request_id)
            accounting.result = result.failed(error, call.request_id, starts_run=match.endpoint.starts_run)
        except BaseException:
            accounting.finish()
            raise
        response = accounting.result.response
        if response is None or responder.status is not None:  # the response was streamed, or there is nobody to get it
            accounting.finish()
            return
        response.raw_headers += call.announcement()
        if accounting.awaits_delivery:
            await self._respond_and_wait(response, responder, accounting, head.delivery)
        else:
            await accounting.finish_batched(batched=self._in_flight.is_used)
            await responder.send(response)

    async def _respond_and_wait(
        self, response: Response, responder: Responder, accounting: Accounting, delivery: Delivery
    ) -> None:
        """Finish a call of a half-closed caller once it is known whether the caller got the response."""
        try:
            await responder.send(response)
            await delivery.settled()
        finally:
            accounting.finish()

    async def _start_run(self, call: WithdrawnCall, receive: Receive, accounting: RecordedAccounting) -> CallResult:
        """Forward a call that starts a run, unless it is a retry that takes over the run of its lost try."""
        head = call.head
        body = await read_body(receive, self._body_limit, head.first_values.get(b"content-length"))
        translates = call.match.endpoint.is_trigger
        request = trigger.to_successor(body, call.workflow or "") if translates else run_workflows.to_successor(body)
        accounting.request = request
        key = key_of(head.first_values.get(b"authorization", b""), head.target, body)
        with self._retries.begin(key, head.delivery) as attempt:
            run = await attempt.taken_over()
            if run is not None:
                attempt.run = trigger.taken_over(run)
                return result.redelivered(attempt.run, call.request_id)
            target = call.match.successor.encode("latin-1")
            with self._in_flight:
                accounting.forward_started()
                if translates:  # the withdrawn endpoint had no query
                    fields = headers.translated(head.headers, self._hop(head), call.request_id.encode())
                else:
                    target += head.target.removeprefix(head.path)
                    fields = headers.whole(head.headers, self._hop(head), call.request_id.encode())
                answer = await self._upstream.post(target, fields, request.body)
                accounting.forward_finished()
            became = (result.translated if translates else result.unchanged)(answer, call.request_id)
            attempt.run = became.run
            return became

    async def _pass_through(self, head: Head, receive: Receive, responder: Responder) -> None:
        """Everything else: forwarded unchanged, and not recorded."""
        accounting = PassThroughAccounting(self._metrics, responder)
        try:
            headers.check(head.headers, head.first_values, head.version, headers.CREDENTIALS)
            if head.method == "OPTIONS" and b"max-forwards" in head.first_values:
                head = msgspec.structs.replace(head, headers=headers.one_hop_less(head.headers))
            if b"//" in head.path:
                self._look_at_slashes(head)
            await self._relay(head, receive, responder, accounting, hop=self._hop(head), target=head.target)
        except ClientDisconnected:
            pass
        except Exception as problem:
            call_id = request_id(head.first_values)
            accounting.result = result.failed(_as_proxy_error(problem, call_id), call_id)
        finally:
            accounting.finish()
        if accounting.result.response is not None and responder.status is None:
            await responder.send(accounting.result.response)

    def _look_at_slashes(self, head: Head) -> None:
        match = meant(head.method, head.path.decode("latin-1"))
        if match is not None:
            caller = identify(self._policy.snapshot.identity, head, match, self._name_header)
            self._slashes.name(caller, f"{head.method} {quoted(head.path)}")

    def _hop(self, head: Head) -> headers.Hop:
        trusted = self._policy.snapshot.identity.trusts(head.peer)
        return headers.Hop(head.peer, trusted, head.scheme, head.version)


def _as_proxy_error(problem: Exception, call_id: str) -> errors.ProxyError:
    if isinstance(problem, errors.ProxyError):
        return problem
    operator.error(f"a fault of the proxy itself, in call {call_id}: {_where(problem)}")
    return errors.InternalError("The proxy failed.")


def _where(fault: Exception) -> str:
    # Without the message, which may quote what the caller sent.
    frame = fault.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "unknown place"
    return f"{type(fault).__name__} at {place}"
