"""Holds against each other what callers sent and saw, what the upstream did, and what the caller log says."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy.callers.record import CallRecord, Heartbeat
from proxy.gateway.metrics import NO_ENDPOINT
from tests.soak.callers import Seen
from tests.soak.plan import REFUSED, Call
from tests.soak.upstream import Account

_NEVER_SENT = {"unreachable": 502, "overloaded": 503, "redelivered": 200}
"""The outcomes of which the upstream knows nothing, and their status."""

_decode = msgspec.json.Decoder(CallRecord | Heartbeat).decode


class Told(NamedTuple):
    """What a record says, of what is held against something."""

    id: str
    endpoint: str
    outcome: str
    status: int
    upstream_status: int | None
    run: str | None
    trigger_status: str | None
    gone: bool


class Evidence(NamedTuple):
    """What is known of a soak.

    Attributes:
        calls: that were made, by id.
        seen: what their callers saw.
        account: of the upstream.
        records: in their order.
        counted: what the metrics say: calls by endpoint, outcome and class of the status.
        knows_all: one process has seen all calls in the order in which they came, and so knows every lost try.
    """

    calls: Mapping[str, Call]
    seen: Mapping[str, Seen]
    account: Account
    records: list[Told]
    counted: Mapping[tuple[str, str, str], float]
    knows_all: bool

    def received(self, name: str) -> int:
        """How often the upstream received a call."""
        return self.account.received.get(name, 0)

    def run(self, name: str | None) -> str | None:
        """The run that it answered a call with."""
        return self.account.runs[name][0] if name in self.account.runs else None

    @property
    def lost(self) -> int:
        """How many recorded requests were sent, and never received: their connection was closed in that moment."""
        return sum(told.outcome == "upstream_error" and not self.received(told.id) for told in self.records)


def read(log: Path) -> tuple[list[Told], list[str]]:
    """The records of a log, and the lines that are neither a record nor a heartbeat."""
    records, torn = [], []
    *lines, rest = log.read_bytes().split(b"\n")
    for line in lines:
        try:
            record = _decode(line)
        except msgspec.DecodeError:
            torn.append(f"a torn line in the log: {line[:200]!r}")
            continue
        if isinstance(record, CallRecord):
            records.append(_told(record))
    return records, [*torn, *([f"the log's end is torn: {rest[:200]!r}"] if rest else [])]


def _told(record: CallRecord) -> Told:
    return Told(
        record.request_id,
        record.endpoint,
        record.outcome,
        record.status,
        record.upstream_status,
        record.run,
        record.trigger_status,
        record.client_gone,
    )


def problems(evidence: Evidence) -> Iterator[str]:
    """Everything that does not hold, a sentence each."""
    yield from _strangers(evidence)
    yield from _totals(evidence)
    told = {record.id: record for record in evidence.records}
    for call in evidence.calls.values():
        found = [*_of_receipts(call, evidence)]
        if not call.kind.is_recorded:
            found += _of_unrecorded(call, evidence)
        elif call.id in told:
            found += _of_record(call, told[call.id], evidence)
            found += _of_retry(call, told[call.id], told.get(call.first or ""), evidence)
        else:
            found.append("it has no record")
        yield from (f"{call.id}: {problem}" for problem in found)


def _strangers(evidence: Evidence) -> Iterator[str]:
    for name, times in Counter(record.id for record in evidence.records).items():
        if times > 1:
            yield f"{name}: it has {times} records"
        if name not in evidence.calls or not evidence.calls[name].kind.is_recorded:
            yield f"{name}: it has a record, and should have none"
    for name in evidence.account.received.keys() - evidence.calls.keys():
        yield f"{name}: the upstream received it, and it was never made"


def _totals(evidence: Evidence) -> Iterator[str]:
    """The few numbers that must be the same, whichever calls they are made of."""
    recorded = Counter((told.endpoint, told.outcome, f"{told.status // 100}xx") for told in evidence.records)
    counted = {key: count for key, count in evidence.counted.items() if key[0] != NO_ENDPOINT}
    if recorded != counted:
        yield f"the log has {dict(recorded)}, the metrics say {counted}"
    passed = sum(count for key, count in evidence.counted.items() if key[0] == NO_ENDPOINT)
    if passed != (made := sum(not call.kind.is_recorded for call in evidence.calls.values())):
        yield f"{made} calls were to be passed through, the metrics say {passed:g}"
    runs = sum(name in evidence.calls and evidence.calls[name].kind.is_recorded for name in evidence.account.runs)
    forwarded = sum(told.outcome == "forwarded" and told.status // 100 == 2 for told in evidence.records)
    if runs != forwarded:
        yield f"the upstream answered {runs} calls with a run, the log has {forwarded} forwarded ones"
    if evidence.lost > evidence.account.hung_up:
        yield f"{evidence.lost} requests were lost on {evidence.account.hung_up} connections that the upstream closed"


def _of_receipts(call: Call, evidence: Evidence) -> Iterator[str]:
    times = evidence.received(call.id)
    if times > (2 if call.kind.method == "GET" and call.fate.is_unanswered else 1):
        yield f"the upstream received it {times} times"
    if times and call.manner in REFUSED:
        yield "the upstream received it, although it was never whole or right"
    if len(runs := evidence.account.runs.get(call.id, [])) > 1:
        yield f"it was answered with {len(runs)} runs"
    if call.id not in evidence.seen and not call.leaves:
        yield "its caller got no answer"


def _of_unrecorded(call: Call, evidence: Evidence) -> Iterator[str]:
    received = evidence.received(call.id)
    if (seen := evidence.seen.get(call.id)) is not None:
        expected = {call.became[1]} if received else {502, 503}
        if seen.status not in expected:
            yield f"its caller got {seen.status}, not {expected}"
        yield from _of_answer(call, seen, evidence.run(call.id), cut=bool(received) and call.fate.is_cut)


def _of_record(call: Call, told: Told, evidence: Evidence) -> Iterator[str]:
    received = evidence.received(call.id)
    expected = call.became if received else _unreceived(call, told)
    if (told.outcome, told.status) != expected:
        how = "received" if received else "never received"
        yield f"its record says {told.outcome} {told.status}, not {expected}; the upstream {how} it"
    if told.upstream_status is not None and not received:
        yield f"its record says that the upstream answered {told.upstream_status}; it never received it"
    if told.gone and not call.leaves:
        yield "its record says that its caller was gone"
    if (seen := evidence.seen.get(call.id)) is None:
        return
    if seen.status != told.status:
        yield f"its caller got {seen.status}, its record says {told.status}"
    if call.kind.starts_run and (told.run, told.trigger_status) != (seen.run, seen.trigger_status):
        yield f"its caller got {seen.trigger_status} run {seen.run}, its record says {told.trigger_status} {told.run}"
    run = evidence.run(call.first if told.outcome == "redelivered" else call.id)
    yield from _of_answer(call, seen, run, cut=bool(received) and call.fate.is_cut and not call.kind.starts_run)


def _unreceived(call: Call, told: Told) -> tuple[str, int]:
    """What the record of a call that the upstream never received may say, the nearest to what it does say."""
    if told.outcome in _NEVER_SENT:
        return told.outcome, _NEVER_SENT[told.outcome]
    if call.manner in REFUSED and told.outcome == "rejected":
        return "rejected", REFUSED[call.manner]
    return "upstream_error", 502


def _of_retry(call: Call, told: Told, first: Told | None, evidence: Evidence) -> Iterator[str]:
    """Whether a retry was given the run of the lost try, where that has one, and nobody else was."""
    has_run = first is not None and first.outcome == "forwarded" and first.run is not None
    # A caller may leave between its record and its answer.
    is_lost = has_run and call.first not in evidence.seen
    if told.outcome != "redelivered":
        if is_lost and first is not None and first.gone and evidence.knows_all and told.outcome != "overloaded":
            yield f"it was not given the run of {call.first}"
    elif first is None or not is_lost:
        yield "it was given a run, and there is none that was lost"
    elif (told.run, told.trigger_status) != (first.run, "already_exists" if call.kind.is_trigger else None):
        yield f"it was given {told.trigger_status} run {told.run}, the lost try had {first.run}"


def _of_answer(call: Call, seen: Seen, run: str | None, *, cut: bool) -> Iterator[str]:
    if seen.request_id != call.id and (call.kind.is_recorded or seen.request_id is not None):
        yield f"its answer is that of {seen.request_id}"
    if seen.whole == cut:
        yield "its answer looks whole, and was cut off" if cut else "its answer broke off"
    if not cut and seen.run != run:
        yield f"its caller got run {seen.run}, the upstream answered with {run}"


def by_outcome(records: Iterable[Told]) -> dict[str, int]:
    """How many records there are of each outcome, the most frequent first."""
    return dict(Counter(told.outcome for told in records).most_common())
