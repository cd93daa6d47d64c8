"""The schema of the caller log, for whatever writes or reads it.

The log has one JSON object per line. Fields that have their default value are omitted.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from proxy.callers.identity import CallerSource
from proxy.errors import Outcome
from proxy.output.formatting import printable_json
from proxy.withdrawn.lifecycle import Phase
from proxy.withdrawn.trigger import Hint, TriggerStatus


class CallRecord(msgspec.Struct, tag_field="event", tag="deprecated_call", omit_defaults=True):
    """One call of a withdrawn endpoint, and its outcome.

    Attributes:
        ts: time at which the call arrived, UTC.
        request_id: as sent to the successor and to the caller.
        trace_id: from the caller's ``traceparent``.
        instance: the process that wrote it, as in its heartbeats; older versions did not say.
        endpoint: name of the withdrawn endpoint.
        path: raw path without the query.
        successor: path of the successor; absent if the path of the call is invalid.
        workflow: decoded name of the workflow.
        token: keyed fingerprint of the token, never the token itself.
        run_user: owner of the token, from the successor's response.
        status: status sent to the caller.
        upstream_status: status sent by the successor.
        run: slug of the run.
        inputs: names of the inputs, never their values.
        ignored_fields: fields of the body that the endpoint ignored.
        hint: advice for the owner: ``trigger_body`` if the body is a trigger's, sent to another endpoint.
        duration_ms: time from the call's arrival until its response was ready.
        upstream_ms: time that the exchange with the successor took.
        client_gone: the caller disconnected before its response was ready, or half-closed and did not read it.
    """

    schema: int
    ts: datetime
    request_id: str
    endpoint: str
    method: str
    path: str
    caller: str
    caller_source: CallerSource
    phase: Phase
    outcome: Outcome
    status: int
    trace_id: str | None = None
    instance: str | None = None
    successor: str | None = None
    org: str | None = None
    repo: str | None = None
    repo_id: str | None = None
    workflow: str | None = None
    owner: str | None = None
    token: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    run_user: str | None = None
    upstream_status: int | None = None
    error_code: str | None = None
    run: str | None = None
    trigger_status: TriggerStatus | None = None
    inputs: list[str] = []
    ignored_fields: list[str] = []
    hint: Hint | None = None
    duration_ms: float | None = None
    upstream_ms: float | None = None
    client_gone: bool = False


class ReportedCall(msgspec.Struct, tag_field="event", tag="deprecated_call", gc=False):
    """The fields of a `CallRecord` that reports count by; decoding only these makes a million records take seconds.

    A record with another schema or an unknown outcome does not decode: nobody knows what it means for its caller. `ts`
    is first, and what follows `client_ip` last, because the fields between them form the `tally.CallKey`.
    """

    ts: datetime
    endpoint: str
    caller: str
    caller_source: str
    outcome: Outcome
    status: int
    org: str | None = None
    repo: str | None = None
    repo_id: str | None = None
    workflow: str | None = None
    owner: str | None = None
    token: str | None = None
    user_agent: str | None = None
    run_user: str | None = None
    client_ip: str | None = None
    instance: str | None = None
    schema: Literal[1] = 1


class CallDetail(msgspec.Struct, gc=False):
    """More fields of a `CallRecord`, for the report on one caller."""

    method: str
    path: str
    request_id: str = ""
    error_code: str | None = None
    run: str | None = None
    inputs: list[str] = []
    ignored_fields: list[str] = []
    hint: str | None = None


class LastCall(msgspec.Struct, gc=False):
    """One of a caller's last calls, for the report on that caller."""

    ts: datetime
    method: str
    path: str
    status: int
    outcome: str
    request_id: str = ""
    error_code: str | None = None
    run: str | None = None


class Heartbeat(msgspec.Struct, tag_field="event", tag="heartbeat", omit_defaults=True):
    """Proof that the log was being written. Without heartbeats, silence may be a gap in the log.

    Attributes:
        ts: time of the heartbeat, UTC.
        at: the proxy started, an interval passed, or the proxy stopped.
        interval: seconds until the next heartbeat.
        instance: the process that wrote it: its host and its process ID.
        key: id of the key of its fingerprints (`fingerprint_key.key_id`).
        policy: digest of the policy that is in force (`policy_digest`).
        lost: number of calls whose records were not written to the log since the last heartbeat.
    """

    schema: int
    ts: datetime
    at: Literal["start", "interval", "stop"]
    interval: float
    instance: str
    key: str | None = None
    policy: str | None = None
    lost: int = 0


Record = CallRecord | Heartbeat

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""No record is from before this time: there was no proxy yet. A clock may say so, after a start without a battery."""

CLOCK_SKEW = timedelta(minutes=10)
"""How far the clocks of two machines may differ: records from further in the future are wrong."""

SCHEMA = 1


def in_utc(moment: datetime) -> datetime:
    """The time in UTC, which is meant if it has no time zone."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the first or the last day of the calendar
        return datetime.min.replace(tzinfo=UTC)


# --- the longest record

MARK = "…"
"""Ends what was cut. No raw path contains it."""

_LONGEST = {"path": 512, "successor": 512, "caller": 448, "user_agent": 384, "workflow": 256} | dict.fromkeys(
    ("request_id", "trace_id", "org", "repo", "repo_id", "owner", "run", "run_user", "error_code"), 128
)
_LONGEST_LIST = 256
_SHORT = 128

_encode = msgspec.json.Encoder().encode


def encode(value: object) -> bytes:
    """JSON on one line, in which characters that a terminal would act on are escaped: logs are read in terminals."""
    line = _encode(value)
    return line if line.isascii() and b"\x7f" not in line else printable_json(line).encode()


def bounded(record: CallRecord) -> CallRecord:
    """A record with every text cut to its longest length, so that its line has about 4 KiB at most.

    Lengths are bytes of the line, where a character takes up to twelve. Returns the same record if nothing is too long,
    which takes half a microsecond if its path is short.
    """
    if _is_short(record):
        return record
    cut: dict[str, object] = {
        name: _cut(text, most) for name, most in _LONGEST.items() if (text := getattr(record, name)) is not None
    }
    cut |= {"inputs": _cut_list(record.inputs), "ignored_fields": _cut_list(record.ignored_fields)}
    return msgspec.structs.replace(record, **cut)


def _is_short(record: CallRecord) -> bool:
    """Whether no text can be too long. Org and repository are parts of the path; the IDs are checked on arrival.

    Printable ASCII takes two bytes at most. Texts are looked at together, which is faster than one by one.
    """
    long = f"{record.successor}{record.caller}{record.user_agent}"
    short = f"{record.workflow}{record.owner}{record.run}{record.run_user}{record.error_code}"
    return (
        len(record.path) <= _SHORT
        and len(long) <= _SHORT * 3 // 2
        and len(short) <= _SHORT // 2
        and long.isascii()
        and long.isprintable()
        and short.isascii()
        and short.isprintable()
        and (not record.inputs or sum(map(len, record.inputs)) <= _SHORT // 3)
        and (not record.ignored_fields or sum(map(len, record.ignored_fields)) <= _SHORT // 3)
    )


def _size(value: object) -> int:
    return len(encode(value)) - 2  # without the quotes


def _cut(text: str, most: int) -> str:
    if _size(text) <= most:
        return text
    most -= _size(MARK)
    text = text[:most]
    while (size := _size(text)) > most:
        text = text[: len(text) * most // size]
    return text + MARK


def _cut_list(names: list[str]) -> list[str]:
    left = _LONGEST_LIST
    for index, name in enumerate(names):
        left -= _size(name) + 3
        if left < 0:
            return [*names[:index], MARK]
    return names
