"""What a call holds in secret, whatever bytes stand around it."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
from structlog.testing import capture_logs

from proxy import config
from proxy.callers.record import CallRecord
from proxy.gateway.call.gateway import Gateway
from proxy.gateway.call.policy import ActivePolicy
from proxy.gateway.call.shared_tries import SharedTries
from proxy.gateway.delivery import Delivery
from proxy.gateway.head import EXTENSION, Head
from proxy.gateway.metrics import Metrics
from proxy.gateway.upstream.upstream import Upstream
from tests.support.upstream import RUN

CANARY = "hunter2canary"
PATH = b"/acme/shop/ci_workflows/build/trigger"
CONFIG = config.load(None, {})


class _Records:
    """Keeps the records of calls, as they are written."""

    instance = "host:1"

    def __init__(self) -> None:
        self.written = b""

    def begin(self, record: CallRecord) -> None:
        self.append(record)

    def append(self, record: CallRecord, _slot: int | None = None) -> None:
        self.written += msgspec.json.encode(record)

    async def append_batched(self, record: CallRecord, _slot: int | None = None) -> None:
        self.append(record)


class _World:
    """A gateway in front of a service that repeats secrets in its errors."""

    def __init__(self) -> None:
        self.records = _Records()
        self.metrics = Metrics(CONFIG)
        self.policy = ActivePolicy(CONFIG, b"k" * 32, lambda: datetime(2026, 11, 27, tzinfo=UTC))
        self.policy.activate(asyncio.run(self.policy.prepare(CONFIG)))

    async def call(self, authorization: bytes, cookie: bytes, body: bytes, status: int) -> None:
        error = {"error_code": "Denied", "message": f"{authorization!r} {cookie!r}", "request_id": "1", "details": {}}
        content = RUN if status == 200 else json.dumps(error).encode()
        service = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
        upstream = Upstream(CONFIG.upstream, service)
        shared = SharedTries(None, self.metrics, window=60, longest=60)
        gateway = Gateway(
            CONFIG,
            self.policy,
            upstream,
            self.records,  # type: ignore[arg-type]
            self.metrics,
            refused=self.metrics.refused,
            shared=shared,
            retry_key=b"k" * 32,
            current_calls=None,
        )
        headers = [(b"host", b"h"), (b"authorization", authorization), (b"cookie", cookie)]
        head = Head("POST", PATH, PATH, headers, dict(headers), "http", "1.1", "127.0.0.1", Delivery())
        scope = {"type": "http", "method": "POST", "headers": headers, "extensions": {EXTENSION: head}}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(_: Any) -> None:
            """Do nothing."""

        await gateway(scope, receive, send)


def secrets(data: bytes) -> None:
    """Neither a token, nor a cookie, nor the value of an input is in a record or an event."""
    half = len(data) // 2
    secret = data[:half] + CANARY.encode() + data[half:]
    text = secret.decode("latin-1")
    value = {"input": {"values": [{"name": "env", "value": text}, {"name": "b", "value": {"a": text}}]}}
    world = _World()
    with capture_logs() as events:
        for status in (200, 401, 500):
            for body in (json.dumps(value).encode(), b'{"input":{"values":[{"name":"env","value":"' + secret):
                asyncio.run(world.call(b"Bearer " + secret, b"a=" + secret, body, status))
    assert world.records.written
    assert CANARY not in world.records.written.decode()
    assert CANARY not in repr(events)
