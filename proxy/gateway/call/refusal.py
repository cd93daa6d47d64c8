"""Refuses calls of withdrawn endpoints with 410, and says what to call instead."""

import math
from urllib.parse import urlsplit

import msgspec

from proxy import errors
from proxy.gateway.call.withdrawn_call import WithdrawnCall
from proxy.withdrawn.lifecycle import Reason, Refusal

_WHY: dict[Reason, str] = {
    "sunset": "this endpoint is withdrawn",
    "migrated": "this caller has moved off this endpoint and may not come back to it",
    "frozen": "this endpoint takes no new callers",
    "brownout": "this endpoint is switched off",
}

_MAX_REASON = 200
"""Longest reason phrase, in characters. Tools print it on one line."""


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
        error = errors.Withdrawn(f"Warning: {_WHY[refusal.reason]}; {_instead(call)}.")
    else:
        until = details["until"] = refusal.until.isoformat().replace("+00:00", "Z")
        error = errors.BrownedOut(f"Warning: {_WHY[refusal.reason]} until {until}; {_instead(call)}.")
        error.retry_after = max(1, math.ceil((refusal.until - call.received).total_seconds()))
    error.details, error.reason = details, _reason(call)
    return error


def _reason(call: WithdrawnCall) -> str:
    """The reason phrase, which many tools print where they hide the body. Long paths are replaced by their pattern."""
    method, base = call.match.endpoint.method, urlsplit(call.policy.successor_url).path
    phrase = f"Gone, use {method} {base}{call.successor}"
    return phrase if len(phrase) <= _MAX_REASON else f"Gone, use {method} {call.match.endpoint.successor}"


def _instead(call: WithdrawnCall) -> str:
    text = f"call {call.match.endpoint.method} {call.successor_url} instead"
    if not call.match.endpoint.is_trigger:
        return text
    body = msgspec.json.encode({"workflows": [{"name": call.workflow}]}).decode()
    return f"{text}, with {body}"
