"""What the log has on one caller beyond its counts, so far as it helps to move it."""

import heapq
from collections import Counter
from datetime import datetime

import msgspec

from proxy.callers.record import InputNames, LastCall, ReportedCall

LAST_CALLS = 10
"""How many of the last calls are told."""

_VALUES = 1000
"""How many different values of a kind are counted apart: whoever calls could invent any number."""

OTHERS = "(others)"

_COUNTED = ("tokens", "addresses", "errors", "ignored_fields")

_names = msgspec.json.Decoder(InputNames).decode
_last_call = msgspec.json.Decoder(LastCall).decode


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


class Detail:
    """The calls of one caller, added in any order.

    Attributes:
        counts: calls by fingerprint of the token, by client address, by error, which is its status and code, and by
            each field that the withdrawn endpoint has always ignored.
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

    def add(self, seen: ReportedCall, line: bytes) -> None:
        """Count a call, with the line that it was read from."""
        try:
            names = _names(line)
            code = _last_call(line).error_code if seen.status >= 400 else None
        except msgspec.ValidationError:  # from somebody who writes another record
            return
        error = f"{seen.status} {code or seen.outcome}" if seen.status >= 400 else None
        for kind, value in (("tokens", seen.token), ("addresses", seen.client_ip), ("errors", error)):
            _count(self.counts[kind], value)
        for name in names.ignored_fields:
            _count(self.counts["ignored_fields"], name)
        self._note_use(seen, line, names.inputs)
        if len(self._last) < LAST_CALLS:
            heapq.heappush(self._last, (seen.ts, line))
        elif seen.ts > self._last[0][0]:
            heapq.heapreplace(self._last, (seen.ts, line))

    def _note_use(self, seen: ReportedCall, line: bytes, inputs: list[str]) -> None:
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
