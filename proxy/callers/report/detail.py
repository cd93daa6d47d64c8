"""What the log says about one caller, beyond the report."""

import heapq
from collections import Counter
from datetime import datetime

import msgspec

from proxy.callers.record import CallDetail, LastCall, ReportedCall

LAST_CALLS = 10
"""How many of the last calls are kept."""

OTHERS = "(others)"
"""Stands for all values beyond `_MAX_VALUES`."""

_MAX_VALUES = 1000
"""How many different values of a kind are counted: a caller could make up any number of them."""

_COUNTED = ("tokens", "addresses", "errors", "ignored_fields", "trigger_fields")

_detail = msgspec.json.Decoder(CallDetail).decode
_last_call = msgspec.json.Decoder(LastCall).decode


class Use(msgspec.Struct):
    """A caller's calls of one endpoint, for one repository and workflow.

    Attributes:
        method: method of the last call.
        path: raw path of the last call.
        hint: hint of the last call.
        inputs: names of all inputs, in the order in which they appeared.
    """

    last_seen: datetime
    method: str
    path: str
    hint: str | None
    calls: int = 0
    inputs: dict[str, None] = {}


class Detail:
    """The calls of one caller, added in any order.

    Attributes:
        counts: calls by fingerprint of the token, by client address, by error (status and code), and by each field that
            the endpoint ignored. The trigger fields are those of them in a trigger's body that was sent to another
            endpoint.
        uses: by endpoint, repository and workflow.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {kind: Counter() for kind in _COUNTED}
        self.uses: dict[tuple[str | None, ...], Use] = {}
        self._last: list[tuple[datetime, bytes]] = []

    @property
    def last_calls(self) -> list[LastCall]:
        """The last calls, newest first, with their times in UTC."""
        return [msgspec.structs.replace(_last_call(line), ts=ts) for ts, line in sorted(self._last, reverse=True)]

    def add(self, call: ReportedCall, line: bytes) -> None:
        """Count a call, with its line in the log."""
        try:
            detail = _detail(line)
        except msgspec.ValidationError:  # something else wrote this record
            return
        error = f"{call.status} {detail.error_code or call.outcome}" if call.status >= 400 else None
        for kind, value in (("tokens", call.token), ("addresses", call.client_ip), ("errors", error)):
            _count(self.counts[kind], value)
        for name in detail.ignored_fields:
            _count(self.counts["ignored_fields"], name)
            if detail.hint == "trigger_body":
                _count(self.counts["trigger_fields"], name)
        self._add_use(call, detail)
        if len(self._last) < LAST_CALLS:
            heapq.heappush(self._last, (call.ts, line))
        elif call.ts > self._last[0][0]:
            heapq.heapreplace(self._last, (call.ts, line))

    def _add_use(self, call: ReportedCall, detail: CallDetail) -> None:
        key = (call.endpoint, call.org, call.repo, call.repo_id, call.workflow)
        use = self.uses.get(key)
        if use is None:
            if len(self.uses) >= _MAX_VALUES:
                return
            use = self.uses[key] = Use(call.ts, detail.method, detail.path, detail.hint)
        use.calls += 1
        if call.ts >= use.last_seen:
            use.last_seen = call.ts
            use.method, use.path, use.hint = detail.method, detail.path, detail.hint
        if detail.inputs and len(use.inputs) < _MAX_VALUES:
            use.inputs.update(dict.fromkeys(detail.inputs))


def _count(counter: Counter[str], value: str | None) -> None:
    if value is not None:
        counter[value if value in counter or len(counter) < _MAX_VALUES else OTHERS] += 1
