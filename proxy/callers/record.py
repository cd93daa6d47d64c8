"""The caller record and the heartbeat: one schema for the writer and the reader.

One JSON object a line. A field that is absent has its default: nothing, or an empty list.
"""

from datetime import datetime
from typing import Literal

import msgspec

from proxy.errors import Outcome
from proxy.withdrawn.lifecycle import Phase
from proxy.withdrawn.trigger import Hint, TriggerStatus

CallerSource = Literal["known", "header", "token", "address"]


class CallRecord(msgspec.Struct, tag_field="event", tag="deprecated_call", omit_defaults=True):
    """What became of one call of a withdrawn endpoint.

    Attributes:
        ts: when the call came in, UTC.
        request_id: as sent to the successor and to the caller.
        trace_id: of the caller's ``traceparent``.
        endpoint: name of the withdrawn endpoint.
        path: raw, without the query.
        successor: path of the successor; absent where the call's own path is invalid.
        workflow: decoded name.
        token: keyed fingerprint of the token, never the token.
        run_user: whose token it was, by the successor's answer.
        status: what the caller was answered.
        upstream_status: what the successor answered.
        run: slug of the run.
        inputs: names of the inputs, never their values.
        ignored_fields: fields that the withdrawn endpoint never had.
        hint: what its owner should hear: ``trigger_body`` where the body is the trigger's, sent to another endpoint.
        duration_ms: of the whole call, until the answer was ready.
        upstream_ms: of the exchange with the successor.
        client_gone: the caller was lost before its answer was ready, or half-closed its connection and did not take it.
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


class Sighting(msgspec.Struct, tag_field="event", tag="deprecated_call", gc=False):
    """A call as a report reads it: those fields of `CallRecord` that it counts by, so that a million take seconds.

    What later versions may write is text here, so that their logs can be read, too. The time comes first and the
    address last: what is between them has few values, however many calls there are (`tally.Shape`).
    """

    ts: datetime
    endpoint: str
    caller: str
    caller_source: str
    outcome: str
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


class Closeup(msgspec.Struct, gc=False):
    """What the report on one caller reads besides."""

    inputs: list[str] = []
    ignored_fields: list[str] = []
    hint: str | None = None


class LastCall(msgspec.Struct, gc=False):
    """What it reads of the last calls of all."""

    method: str
    path: str
    request_id: str = ""
    error_code: str | None = None
    run: str | None = None


class Heartbeat(msgspec.Struct, tag_field="event", tag="heartbeat", omit_defaults=True):
    """Proof that the log was being kept: silence counts as silence only where heartbeats cover it.

    Attributes:
        ts: when it was written, UTC.
        at: why: the proxy started, an interval passed, or the proxy stopped.
        interval: seconds until the next one.
        instance: which process wrote it.
    """

    schema: int
    ts: datetime
    at: Literal["start", "interval", "stop"]
    interval: float
    instance: str


Record = CallRecord | Heartbeat

SCHEMA = 1
