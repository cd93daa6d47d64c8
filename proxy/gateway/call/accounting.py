"""What is done once a call, before its answer is whole: whoever has the answer finds the call counted and recorded.

Only for a caller that has half-closed it is done afterwards: the record says whether that one has its answer.
"""

import time
from typing import ClassVar

from proxy import errors
from proxy.callers.record import CallRecord
from proxy.errors import Outcome
from proxy.gateway.call.asgi import Responder
from proxy.gateway.call.records import Records
from proxy.gateway.delivery import Delivery, State
from proxy.gateway.metrics import NO_ENDPOINT, Kind, Metrics


class Accounting:
    """Takes the time of a call; when called, closes it, once.

    Args:
        metrics: count it.
        responder: knows what the caller was answered.
    """

    kind: ClassVar[Kind]

    def __init__(self, metrics: Metrics, responder: Responder) -> None:
        self._metrics = metrics
        self._answering = responder
        self._started = time.perf_counter()
        self._sent: float | None = None
        self._exchange: float | None = None
        self._closed = False
        metrics.begun(self.kind)

    def forward_started(self) -> None:
        """The exchange with the successor begins."""
        self._sent = time.perf_counter()

    def forward_finished(self) -> None:
        """The exchange is over; where nobody says so, it is when the call is closed."""
        if self._sent is not None:
            self._exchange, self._sent = time.perf_counter() - self._sent, None

    def response_started(self, status: int) -> None:
        """The successor's answer has begun, and goes to the caller as it comes."""
        raise NotImplementedError

    def response_ending(self) -> None:
        """The next thing to be sent is what makes the answer whole."""
        self.finish()

    def finish(self) -> None:
        """Close it, if it is not yet."""
        if self._ends():
            self._close(time.perf_counter() - self._started)

    def _ends(self) -> bool:
        """Whether it was not closed before."""
        if self._closed:
            return False
        self._closed = True
        self.forward_finished()
        return True

    def _close(self, duration: float) -> None:
        raise NotImplementedError


class PassThroughAccounting(Accounting):
    """Counts a call that is passed through: until something better is known, it was interrupted."""

    kind = "pass_through"
    _outcome: Outcome = "interrupted"
    _status = 500

    def response_started(self, status: int) -> None:
        """The successor's answer has begun, and goes to the caller as it comes."""
        self._outcome = outcome_of(status)

    def failed(self, error: errors.ProxyError) -> None:
        """The caller is answered with an error of the proxy's own, or its answer breaks off."""
        self._outcome, self._status = error.outcome, error.status

    def _close(self, duration: float) -> None:
        status = self._answering.status or self._status
        self._metrics.ended(self.kind, NO_ENDPOINT, self._outcome, status, duration=duration, exchange=self._exchange)


class RecordedAccounting(Accounting):
    """Appends the record of a call of a withdrawn endpoint, and counts what it says."""

    kind = "withdrawn"

    def __init__(
        self, metrics: Metrics, responder: Responder, record: CallRecord, records: Records, delivery: Delivery
    ) -> None:
        super().__init__(metrics, responder)
        self.record = record
        self._records = records
        self._delivery = delivery
        self._intent: int | None = None

    def forward_started(self) -> None:
        """The exchange with the successor begins."""
        self._intent = self._records.begin(self.record)
        super().forward_started()

    def response_started(self, status: int) -> None:
        """The successor's answer has begun, and goes to the caller as it comes."""
        self.record.upstream_status, self.record.outcome = status, outcome_of(status)

    def response_ending(self) -> None:
        """The next thing to be sent is what makes the answer whole."""
        self.forward_finished()
        if not self.awaits_delivery:
            self.finish()

    @property
    def awaits_delivery(self) -> bool:
        """Whether it must wait until it is known whether the caller has the answer."""
        return self._delivery.state is State.HALF_CLOSED

    async def finish_batched(self, others: bool) -> None:
        """Close it, if it is not yet, and have its record written with those of others, where there are any."""
        if not others:
            self.finish()
        elif self._ends():
            self._count(time.perf_counter() - self._started)
            await self._records.written(self.record, self._intent)

    def _close(self, duration: float) -> None:
        self._count(duration)
        self._records.append(self.record, self._intent)

    def _count(self, duration: float) -> None:
        record = self.record
        record.status = self._answering.status or record.status
        record.client_gone = self._answering.gone or self._delivery.state is State.LOST
        record.duration_ms = _milliseconds(duration)
        record.upstream_ms = _milliseconds(self._exchange) if self._exchange is not None else None
        self._metrics.called_by(record.caller if record.caller_source == "known" else None)
        self._metrics.ended(
            self.kind, record.endpoint, record.outcome, record.status, duration=duration, exchange=self._exchange
        )


def outcome_of(status: int) -> Outcome:
    """The outcome of a call to which the successor answered with a status."""
    return "forwarded" if status < 400 else "upstream_error"


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1_000_000) / 1000  # a fifth of what it takes to round to three digits
