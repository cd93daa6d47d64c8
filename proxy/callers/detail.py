"""What the log has on one caller beyond its counts, so far as it helps to move it."""

import heapq
from collections import Counter
from datetime import datetime
from typing import NamedTuple

import msgspec

from proxy.callers.record import Closeup, LastCall, Sighting

LAST_CALLS = 10
"""How many of the last calls are told."""

_VALUES = 1000
"""How many different values of a kind are counted apart: whoever calls could invent any number."""

OTHERS = "(others)"

_names = msgspec.json.Decoder(Closeup).decode
_last_call = msgspec.json.Decoder(LastCall).decode


class Call(NamedTuple):
    """One of the last calls."""

    ts: datetime
    method: str
    path: str
    status: int
    outcome: str
    request_id: str
    error_code: str | None
    run: str | None


class Use(msgspec.Struct):
    """What a caller uses of the withdrawn API: an endpoint, on one repository, for one workflow.

    Attributes:
        inputs: names of the inputs that were sent, in the order in which they were first seen.
        line: of the last call.
    """

    last_seen: datetime
    line: bytes
    calls: int = 0
    inputs: dict[str, None] = {}

    @property
    def method(self) -> str:
        """As it was called."""
        return _last_call(self.line).method

    @property
    def path(self) -> str:
        """Raw, of the last call."""
        return _last_call(self.line).path

    @property
    def hint(self) -> str | None:
        """What its owner should hear, of the last call."""
        return _names(self.line).hint


class Detail:
    """The calls of one caller, added in any order.

    Attributes:
        addresses: where it calls from.
        tokens: fingerprints of those it calls with.
        errors: which it got: status and code.
        ignored_fields: fields that it sends and that the withdrawn endpoint has always ignored.
        trigger_fields: those of them that it sends as a trigger's body, but to another endpoint.
        uses: by endpoint, repository and workflow.
    """

    def __init__(self) -> None:
        self.addresses: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.ignored_fields: Counter[str] = Counter()
        self.trigger_fields: Counter[str] = Counter()
        self.uses: dict[tuple[str | None, ...], Use] = {}
        self._last: list[tuple[datetime, bytes, Sighting]] = []

    @property
    def last_calls(self) -> list[Call]:
        """The last calls, newest first."""
        return [
            Call(seen.ts, call.method, call.path, seen.status, seen.outcome, call.request_id, call.error_code, call.run)
            for _, line, seen in sorted(self._last, key=lambda last: last[:2], reverse=True)
            for call in [_last_call(line)]
        ]

    def add(self, seen: Sighting, line: bytes) -> None:
        """Count a call, with the line that it was read from."""
        try:
            names = _names(line)
            code = _last_call(line).error_code if seen.status >= 400 else None
        except msgspec.ValidationError:  # from somebody who writes another record
            return
        _count(self.addresses, seen.client_ip)
        _count(self.tokens, seen.token)
        if seen.status >= 400:
            _count(self.errors, f"{seen.status} {code or seen.outcome}")
        for name in names.ignored_fields:
            _count(self.ignored_fields, name)
            if names.hint == "trigger_body":
                _count(self.trigger_fields, name)
        self._note_use(seen, line, names.inputs)
        last = (seen.ts, line, seen)
        if len(self._last) < LAST_CALLS:
            heapq.heappush(self._last, last)
        elif seen.ts > self._last[0][0]:
            heapq.heapreplace(self._last, last)

    def _note_use(self, seen: Sighting, line: bytes, inputs: list[str]) -> None:
        key = (seen.endpoint, seen.org, seen.repo, seen.repo_id, seen.workflow)
        use = self.uses.get(key)
        if use is None:
            if len(self.uses) >= _VALUES:
                return
            use = self.uses[key] = Use(seen.ts, line)
        use.calls += 1
        if seen.ts >= use.last_seen:
            use.last_seen, use.line = seen.ts, line
        if inputs and len(use.inputs) < _VALUES:
            use.inputs.update(dict.fromkeys(inputs))


def _count(counter: Counter[str], value: str | None) -> None:
    if value is not None:
        counter[value if value in counter or len(counter) < _VALUES else OTHERS] += 1
