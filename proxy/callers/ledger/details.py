"""What the ledger keeps of calls beyond their number, for the report on one caller."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from proxy.callers.record import CallDetail, LastCall

LAST_CALLS = 10
"""How many of the last calls are kept."""

_MOST_VALUES = 100
"""How many different values of a kind are kept for the calls with one key: a caller could make up any number."""

_LONGEST_LINE = 8 << 10
"""Bytes. The details of longer records are not kept; the proxy writes none."""


class _Detail(CallDetail, gc=False):
    status: int = 0
    outcome: str = ""


_detail = msgspec.json.Decoder(_Detail).decode
_NEVER = datetime.min.replace(tzinfo=UTC)


class KeyDetails(msgspec.Struct):
    """What calls with one key said, beyond the key.

    Attributes:
        last: time of the call that the next three are from.
        method: of the request.
        path: raw.
        hint: advice for the owner.
        inputs: names of all inputs.
        errors: calls by status and error code.
        ignored_fields: calls by the name of each field that the endpoint ignored.
        trigger_fields: those of them in a trigger's body that was sent to another endpoint.
        last_calls: the last calls, oldest first.
    """

    last: datetime = _NEVER
    method: str = ""
    path: str = ""
    hint: str | None = None
    inputs: list[str] = []
    errors: dict[str, int] = {}
    ignored_fields: dict[str, int] = {}
    trigger_fields: dict[str, int] = {}
    last_calls: list[LastCall] = []

    def merge(self, other: "KeyDetails") -> None:
        """Add the details of other calls with the same key."""
        if other.last > self.last:
            self.last, self.method, self.path, self.hint = other.last, other.method, other.path, other.hint
        self.inputs = list(dict.fromkeys([*self.inputs, *other.inputs]))[:_MOST_VALUES]
        for mine, theirs in zip(self.counts, other.counts, strict=True):
            for value, calls in theirs.items():
                _count(mine, value, calls)
        self.last_calls = sorted([*self.last_calls, *other.last_calls], key=_time)[-LAST_CALLS:]

    def add_fields(self, status: int, outcome: str, line: bytes) -> None:
        """Count the error and the ignored fields in the line of a call."""
        detail = _decoded(line)
        if detail is None:
            return
        if status >= 400:
            _count(self.errors, f"{status} {detail.error_code or outcome}")
        for name in detail.ignored_fields:
            _count(self.ignored_fields, name)
            if detail.hint == "trigger_body":
                _count(self.trigger_fields, name)

    def add_last(self, lines: Iterable[tuple[datetime, bytes]]) -> None:
        """Keep calls as the last ones.

        Args:
            lines: their lines, each with its time, in UTC.
        """
        added = KeyDetails(last_calls=[])
        for moment, line in lines:
            detail = _decoded(line)
            if detail is None:
                continue
            if moment > added.last:
                added.last, added.method, added.path, added.hint = moment, detail.method, detail.path, detail.hint
            added.inputs += detail.inputs
            added.last_calls.append(
                LastCall(
                    moment,
                    detail.method,
                    detail.path,
                    detail.status,
                    detail.outcome,
                    detail.request_id,
                    detail.error_code,
                    detail.run,
                )
            )
        self.merge(added)

    @property
    def counts(self) -> tuple[dict[str, int], ...]:
        """The calls by value, of each kind."""
        return self.errors, self.ignored_fields, self.trigger_fields


def _decoded(line: bytes) -> _Detail | None:
    try:
        return _detail(line) if len(line) <= _LONGEST_LINE else None
    except msgspec.ValidationError:  # something else wrote this record
        return None


def _count(counts: dict[str, int], value: str, calls: int = 1) -> None:
    if value in counts or len(counts) < _MOST_VALUES:
        counts[value] = counts.get(value, 0) + calls


def _time(call: LastCall) -> datetime:
    return call.ts
