"""What the log says about one caller, beyond the report."""

import heapq
from collections import Counter
from datetime import datetime

import msgspec

from proxy.callers.record import CallDetail, LastCall, ReportedCall
from proxy.callers.report.budget import OTHERS, Budget

LAST_CALLS = 10
"""How many of the last calls are kept."""

_MAX_VALUES = 1000
"""How many different values of a kind are counted: a caller could make up any number of them."""

_MAX_INPUTS = 100
"""After so many, no more names of inputs are kept."""

_LONGEST_LINE = 8 << 10
"""Bytes. The details of longer records are not shown; the proxy writes none."""

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

    def add(self, moment: datetime, detail: CallDetail) -> None:
        """Count a call."""
        self.merge(Use(moment, detail.method, detail.path, detail.hint, 1, dict.fromkeys(detail.inputs)))

    def merge(self, other: "Use") -> None:
        """Add the calls of another one."""
        self.calls += other.calls
        if other.last_seen >= self.last_seen:
            self.last_seen = other.last_seen
            self.method, self.path, self.hint = other.method, other.path, other.hint
        if len(self.inputs) < _MAX_INPUTS:
            self.inputs.update(other.inputs)


class Detail:
    """The calls of one caller, added in any order.

    Attributes:
        counts: calls by fingerprint of the token, by client address, by error (status and code), and by each field that
            the endpoint ignored. The trigger fields are those of them in a trigger's body that was sent to another
            endpoint.
        names: calls by the caller's name in the record.
        uses: by endpoint, repository and workflow.
        lines: the lines of the last calls, each with its time: a heap, the earliest first.

    Args:
        texts: what is left for the values of all details.
    """

    def __init__(self, texts: Budget) -> None:
        self.counts: dict[str, Counter[str]] = {kind: Counter() for kind in _COUNTED}
        self.names: Counter[str] = Counter()
        self.uses: dict[tuple[str | None, ...], Use] = {}
        self.lines: list[tuple[datetime, bytes]] = []
        self._texts = texts

    @property
    def last_calls(self) -> list[LastCall]:
        """The last calls, newest first, with their times in UTC."""
        return [msgspec.structs.replace(_last_call(line), ts=ts) for ts, line in sorted(self.lines, reverse=True)]

    def add(self, call: ReportedCall, line: bytes) -> None:
        """Count a call, with its line in the log."""
        if len(line) > _LONGEST_LINE:
            return
        try:
            detail = _detail(line)
        except msgspec.ValidationError:  # something else wrote this record
            return
        error = f"{call.status} {detail.error_code or call.outcome}" if call.status >= 400 else None
        for kind, value in (("tokens", call.token), ("addresses", call.client_ip), ("errors", error)):
            self._count(self.counts[kind], value)
        self._count(self.names, call.caller)
        for name in detail.ignored_fields:
            self._count(self.counts["ignored_fields"], name)
            if detail.hint == "trigger_body":
                self._count(self.counts["trigger_fields"], name)
        self._add_use(call, detail)
        self._add_last(call.ts, line)

    def merge(self, other: "Detail") -> None:
        """Add the calls of another one."""
        for kind, counts in other.counts.items():
            for value, calls in counts.items():
                self._count(self.counts[kind], value, calls)
        for name, calls in other.names.items():
            self._count(self.names, name, calls)
        for key, use in other.uses.items():
            mine = self.uses.get(key)
            if mine is not None:
                mine.merge(use)
            elif len(self.uses) < _MAX_VALUES:
                self.uses[key] = use
        for moment, line in other.lines:
            self._add_last(moment, line)

    def _count(self, counter: Counter[str], value: str | None, calls: int = 1) -> None:
        if value is not None:
            is_kept = value in counter or (len(counter) < _MAX_VALUES and self._texts.take(len(value)))
            counter[value if is_kept else OTHERS] += calls

    def _add_last(self, moment: datetime, line: bytes) -> None:
        if len(self.lines) == LAST_CALLS:
            if moment <= self.lines[0][0]:
                return
            self._texts.give_back(len(heapq.heappop(self.lines)[1]))
        if self._texts.take(len(line)):
            heapq.heappush(self.lines, (moment, line))

    def _add_use(self, call: ReportedCall, detail: CallDetail) -> None:
        key = (call.endpoint, call.org, call.repo, call.repo_id, call.workflow)
        use = self.uses.get(key)
        if use is None:
            if len(self.uses) >= _MAX_VALUES or not self._texts.take(
                _LONGEST_LINE if detail.inputs else len(detail.path)
            ):
                return
            use = self.uses[key] = Use(call.ts, detail.method, detail.path, detail.hint)
        use.add(call.ts, detail)
