"""What the log says about one caller, beyond the report."""

import heapq
from collections import Counter, defaultdict
from datetime import datetime

import msgspec

from proxy.callers.ledger.details import LAST_CALLS, KeyDetails
from proxy.callers.record import CallDetail, LastCall, ReportedCall
from proxy.callers.report.budget import OTHERS, Budget
from proxy.callers.report.tally import CallKey

_MAX_VALUES = 1000
"""How many different values of a kind are counted: a caller could make up any number of them."""

_MAX_INPUTS = 100
"""After so many, no more names of inputs are kept."""

_LONGEST_LINE = 8 << 10
"""Bytes. The details of longer records are not shown; the proxy writes none."""

_COUNTED = ("tokens", "addresses", "errors", "ignored_fields", "trigger_fields")

_detail = msgspec.json.Decoder(CallDetail).decode


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
    inputs: tuple[str, ...] = ()

    def add(self, moment: datetime, detail: CallDetail) -> None:
        """Count a call."""
        self.merge(Use(moment, detail.method, detail.path, detail.hint, 1, tuple(detail.inputs)))

    def merge(self, other: "Use") -> None:
        """Add the calls of another one."""
        self.calls += other.calls
        if other.last_seen >= self.last_seen:
            self.last_seen = other.last_seen
            self.method, self.path, self.hint = other.method, other.path, other.hint
        if other.inputs != self.inputs and len(self.inputs) < _MAX_INPUTS:
            self.inputs = tuple(dict.fromkeys(self.inputs + other.inputs))


class Detail:
    """The calls of one caller, added in any order.

    Attributes:
        uses: by endpoint, repository and workflow.
        latest: the last calls: their time, and the other fields of a `LastCall`, packed; a heap, the earliest first.

    Args:
        texts: what is left for the values of all details.
    """

    def __init__(self, texts: Budget) -> None:
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.uses: dict[tuple[str | None, ...], Use] = {}
        self.latest: list[tuple[datetime, bytes]] = []
        self._texts = texts

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """Calls by fingerprint of the token, by client address, by error, and by each field that the endpoint ignored.

        An error is a status and a code. The trigger fields are those of the ignored ones in a trigger's body that was
        sent to another endpoint.
        """
        return {kind: self._counts[kind] for kind in _COUNTED}

    @property
    def names(self) -> Counter[str]:
        """Calls by the caller's name in the record."""
        return self._counts["names"]

    @property
    def last_calls(self) -> list[LastCall]:
        """The last calls, newest first, with their times in UTC."""
        return [LastCall(ts, *msgspec.msgpack.decode(values)) for ts, values in sorted(self.latest, reverse=True)]

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
            self._count(kind, value)
        self._count("names", call.caller)
        for name in detail.ignored_fields:
            self._count("ignored_fields", name)
            if detail.hint == "trigger_body":
                self._count("trigger_fields", name)
        self._add_use(call, detail)
        if len(self.latest) < LAST_CALLS or call.ts > self.latest[0][0]:
            shown = detail.method, detail.path, call.status, call.outcome
            self._keep(call.ts, msgspec.msgpack.encode((*shown, detail.request_id, detail.error_code, detail.run)))

    def add_stored(self, key: CallKey, calls: int, details: KeyDetails) -> None:
        """Count calls that the ledger holds.

        Args:
            key: what they have in common.
            calls: their number.
            details: what else they said.
        """
        if not details.method:  # something else wrote all these records
            return
        for kind, value in (("tokens", key.token), ("addresses", key.client_ip), ("names", key.caller)):
            self._count(kind, value, calls)
        for kind, counts in zip(("errors", "ignored_fields", "trigger_fields"), details.counts, strict=True):
            for value, number in counts.items():
                self._count(kind, value, number)
        use = Use(details.last, details.method, details.path, details.hint, calls, tuple(details.inputs))
        self._merge_use((key.endpoint, key.org, key.repo, key.repo_id, key.workflow), use)
        for call in details.last_calls:
            self._keep(call.ts, msgspec.msgpack.encode(msgspec.structs.astuple(call)[1:]))

    def merge(self, other: "Detail") -> None:
        """Add the calls of another one."""
        for kind, counts in (*other.counts.items(), ("names", other.names)):
            for value, calls in counts.items():
                self._count(kind, value, calls)
        for key, use in other.uses.items():
            self._merge_use(key, use)
        for call in other.latest:
            self._keep(*call)

    def _merge_use(self, key: tuple[str | None, ...], use: Use) -> None:
        mine = self.uses.get(key)
        if mine is not None:
            mine.merge(use)
        elif len(self.uses) < _MAX_VALUES:
            self.uses[key] = use

    def _count(self, kind: str, value: str | None, calls: int = 1) -> None:
        if value is not None:
            counter = self._counts[kind]
            is_kept = value in counter or (len(counter) < _MAX_VALUES and self._texts.take(len(value)))
            counter[value if is_kept else OTHERS] += calls

    def _keep(self, moment: datetime, values: bytes) -> None:
        """Keep one of the last calls."""
        if len(self.latest) == LAST_CALLS:
            if moment <= self.latest[0][0]:
                return
            self._texts.give_back(len(heapq.heappop(self.latest)[1]))
        if self._texts.take(len(values)):
            heapq.heappush(self.latest, (moment, values))

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
