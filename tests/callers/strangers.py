"""Records of strangers, and of callers with a token."""

from datetime import datetime
from typing import Any

from proxy.callers.record import CallRecord
from tests.callers.lines import DAY, NOW, call

TOKEN = "0123456789ab"


def stranger(at: datetime = NOW - DAY, agent: str = "made-up/1", **fields: Any) -> CallRecord:
    """A call without a token."""
    known: dict[str, Any] = {"client_ip": "203.0.113.9", "user_agent": agent, "outcome": "rejected", "status": 400}
    return call(at, **known | {"caller": f"203.0.113.9 {agent}", "caller_source": "address"} | fields)


def with_token(at: datetime = NOW - DAY, token: str = TOKEN, **fields: Any) -> CallRecord:
    known = {"client_ip": "203.0.113.9", "caller": f"token:{token}", "caller_source": "token", "token": token}
    return call(at, **known | fields)


def failed(at: datetime = NOW - DAY, token: str = TOKEN, **fields: Any) -> CallRecord:
    return with_token(at, token, outcome="upstream_error", status=401, **fields)
