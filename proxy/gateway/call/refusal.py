"""Refuses calls of withdrawn endpoints with 410, and says what to call instead."""

import math

import msgspec

from proxy import errors
from proxy.gateway.call.withdrawn_call import WithdrawnCall
from proxy.withdrawn.lifecycle import Reason, Refusal

_WHY: dict[Reason, str] = {
    "sunset": "This endpoint is withdrawn",
    "migrated": "This caller has moved off this endpoint and may not come back to it",
    "frozen": "This endpoint takes no new callers",
    "brownout": "This endpoint is switched off",
}


def check(call: WithdrawnCall) -> None:
    """Refuse a call that may not go on.

    Raises:
        errors.InvalidPath, errors.PathTooLong: its path cannot be used.
        errors.Withdrawn, errors.BrownedOut: the policy refuses it, permanently or for a while.
    """
    if call.invalid_path is not None:
        raise call.invalid_path
    if call.decision.refusal is not None:
        raise _refused(call, call.decision.refusal)


def _refused(call: WithdrawnCall, refusal: Refusal) -> errors.ProxyError:
    details = {"successor": call.successor_url or ""}
    if call.policy.documentation is not None:
        details["documentation"] = call.policy.documentation
    error: errors.ProxyError
    if refusal.until is None:
        error = errors.Withdrawn(f"{_WHY[refusal.reason]}: {_instead(call)}.")
    else:
        until = details["until"] = refusal.until.isoformat().replace("+00:00", "Z")
        error = errors.BrownedOut(f"{_WHY[refusal.reason]} until {until}: {_instead(call)}.")
        error.retry_after = max(1, math.ceil((refusal.until - call.received).total_seconds()))
    error.details = details
    return error


def _instead(call: WithdrawnCall) -> str:
    text = f"call {call.match.endpoint.method} {call.successor_url} instead"
    if not call.match.endpoint.is_trigger:
        return text
    body = msgspec.json.encode({"workflows": [{"name": call.workflow}]}).decode()
    return f"{text}, with {body}"
