"""Counts each call, and records each call of a withdrawn endpoint.

Both are done before the response is complete, so a caller that has its response finds its call recorded. Only if the
caller has half-closed they are done afterwards, because the record says whether that caller got the response.
"""

import time
from typing import ClassVar

import msgspec

from proxy.callers.record import SCHEMA, CallRecord
from proxy.gateway import headers
from proxy.gateway.call.records import Records
from proxy.gateway.call.responder import Responder
from proxy.gateway.call.result import INTERRUPTED
from proxy.gateway.call.withdrawn_call import MAX_PATH, WithdrawnCall, quoted
from proxy.gateway.delivery import State
from proxy.gateway.metrics import NO_ENDPOINT, Kind, Metrics
from proxy.withdrawn.trigger import LegacyResponse, SuccessorRequest

_NO_ANSWER = LegacyResponse(0, b"")
_NO_REQUEST = SuccessorRequest(b"", [], [])


class Accounting:
    """Times a call, and counts it exactly once.

    Attributes:
        result: what became of the call, as far as that is known.
    """

    kind: ClassVar[Kind] = "pass_through"

    def __init__(self, metrics: Metrics, responder: Responder, endpoint: str = NO_ENDPOINT) -> None:
        self.result = INTERRUPTED
        self._metrics = metrics
        self._responder = responder
        self._endpoint = endpoint
        self._started = time.perf_counter()
        self._forwarded: float | None = None
        self._upstream_seconds: float | None = None
        self._is_finished = False
        metrics.begun(self.kind)

    def forward_started(self) -> None:
        """The call is about to be forwarded."""
        self._forwarded = time.perf_counter()

    def forward_finished(self) -> None:
        """The exchange with the service is over; without this, it ends with the call."""
        if self._forwarded is not None:
            self._upstream_seconds, self._forwarded = time.perf_counter() - self._forwarded, None

    def response_ending(self) -> None:
        """The next message completes the response."""
        self.finish()

    def finish(self) -> None:
        """Count the call, unless that was done before."""
        if not self._is_finished:
            self._count()

    def _count(self) -> float:
        """Count the call.

        Returns:
            Its duration in seconds.
        """
        self._is_finished = True
        self.forward_finished()
        duration, status = time.perf_counter() - self._started, self._responder.status or self.result.status
        self._metrics.ended(
            self.kind, self._endpoint, self.result.outcome, status, duration=duration, exchange=self._upstream_seconds
        )
        return duration


class RecordedAccounting(Accounting):
    """Counts and records a call of a withdrawn endpoint.

    Attributes:
        request: what the body of the call says, once it was read.
    """

    kind = "withdrawn"

    def __init__(self, metrics: Metrics, responder: Responder, call: WithdrawnCall, records: Records) -> None:
        super().__init__(metrics, responder, call.match.endpoint.name)
        self.request = _NO_REQUEST
        self._call = call
        self._records = records
        self._provisional: CallRecord | None = None
        self._slot: int | None = None

    def forward_started(self) -> None:
        """The call is about to be forwarded: from now on it has a record even if the process is killed."""
        self._provisional = _provisional(self._call, self.request)
        self._slot = self._records.begin(self._provisional)
        super().forward_started()

    def response_ending(self) -> None:
        """The next message completes the response."""
        self.forward_finished()
        if not self.awaits_delivery:
            self.finish()

    @property
    def awaits_delivery(self) -> bool:
        """Whether the record must wait until it is known whether the caller got the response."""
        return self._call.head.delivery.state is State.HALF_CLOSED

    def finish(self) -> None:
        """Count and record the call, unless that was done before."""
        if not self._is_finished:
            self._records.append(self._record(self._count()), self._slot)

    async def finish_batched(self) -> None:
        """As `finish`, but write the record together with those of other calls."""
        if not self._is_finished:
            await self._records.append_batched(self._record(self._count()), self._slot)

    def _record(self, duration: float) -> CallRecord:
        caller, result = self._call.caller, self.result
        self._metrics.called_by(caller.name if caller.source == "known" else None)
        provisional = self._provisional or _provisional(self._call, self.request)
        answer = result.answer or _NO_ANSWER
        return msgspec.structs.replace(
            provisional,
            outcome=result.outcome,
            status=self._responder.status or result.status,
            upstream_status=result.upstream_status,
            error_code=result.error_code,
            run=answer.run or provisional.run,
            run_user=answer.run_user,
            trigger_status=answer.trigger_status,
            duration_ms=_milliseconds(duration),
            upstream_ms=_milliseconds(self._upstream_seconds) if self._upstream_seconds is not None else None,
            client_gone=self._responder.client_gone or self._call.head.delivery.state is State.LOST,
        )


def _provisional(call: WithdrawnCall, request: SuccessorRequest) -> CallRecord:
    """The record of a call whose result is not known."""
    head, match, caller = call.head, call.match, call.caller
    segments = match.segments
    return CallRecord(
        schema=SCHEMA,
        ts=call.received,
        request_id=call.request_id,
        trace_id=headers.trace_id(head.first_values.get(b"traceparent")),
        endpoint=match.endpoint.name,
        method=match.endpoint.method,
        path=quoted(head.path[:MAX_PATH]),
        successor=call.successor,
        org=segments.get("org"),
        repo=segments.get("repo"),
        repo_id=segments.get("repo_id"),
        workflow=call.workflow,
        run=segments.get("run"),
        caller=caller.name,
        caller_source=caller.source,
        owner=caller.owner,
        token=caller.token,
        client_ip=caller.client_ip,
        user_agent=caller.user_agent,
        phase=call.decision.phase,
        outcome=INTERRUPTED.outcome,
        status=INTERRUPTED.status,
        inputs=request.inputs,
        ignored_fields=request.ignored_fields,
        hint=request.hint,
    )


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1_000_000) / 1000  # a fifth of the time that rounding to three digits takes
