"""Finds records in lines that are more, or less, than a record.

Pure. Log stores and container runtimes wrap each line: they put text before it, or make it a string in a JSON object.
Two lines can have run together, and a line can be damaged. What may have been a call is told: it must not be forgotten.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from proxy.callers.record import CallRecord, Heartbeat, ReportedCall

Pair = tuple[ReportedCall | Heartbeat, bytes]
"""A record and its line."""

decode: Callable[[bytes], ReportedCall | Heartbeat] = msgspec.json.Decoder(ReportedCall | Heartbeat).decode
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

LEFT_OUT = b"\0"
"""Stands for text that was left out, and may have been a call."""

_BEGINNING = b'{"event":'
"""The beginning of every record that the proxy writes. In a string inside a record, the quotes would be escaped."""

_DEEPEST = 3
"""How many envelopes may be around a line."""

_CALL = "deprecated_call"
_TRACE = re.compile(rb'"(?:deprecated_call\\*"|caller_source\\*":)')
"""What only records of calls have, at any depth of escaping."""

_EVENT = re.compile(rb'"event":"[^"\\]*"')
_FIELD = re.compile(rb'"(?:%b)":' % "|".join(CallRecord.__struct_fields__).encode())
_MOMENT = re.compile(rb'"ts":("[^"\\]{1,40}")')
_CRI = re.compile(rb"\S+ (stdout|stderr) ([PF])(?::\S*)? (.*)", re.DOTALL)
"""A line of a container runtime for Kubernetes: a time, the stream, and whether the line is partial or full."""


class Found(NamedTuple):
    """What is in a line.

    Attributes:
        records: each with its own line.
        lost: the parts that may have been calls.
    """

    records: list[Pair]
    lost: list[bytes]


class _Envelope(msgspec.Struct):
    """What docker (log), Vector and others (message), journald (MESSAGE) and Loki (line) put a line into."""

    event: msgspec.Raw = msgspec.Raw()
    log: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    MESSAGE: msgspec.Raw = msgspec.Raw()
    line: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    event: Any = None


_envelope = msgspec.json.Decoder(_Envelope).decode
_event = msgspec.json.Decoder(_Event).decode
_text = msgspec.json.Decoder(str).decode
_bytes = msgspec.json.Decoder(list[Annotated[int, msgspec.Meta(ge=0, le=255)]]).decode
_moment = msgspec.json.Decoder(datetime).decode


class Finder:
    """Finds the records in the lines of one log.

    Args:
        longest: bytes that a line may have that is joined from its parts.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: dict[bytes, bytes] = {}

    def find(self, line: bytes) -> Found | None:
        """What is in a line; None if it is only a part of one, which the next lines complete."""
        part = _CRI.match(line)
        if part is None:
            return records_in(line)
        stream, kind, text = part.groups()
        text = self._parts.pop(stream, b"") + text.rstrip(b"\r\n")
        if kind == b"P" and len(text) <= self._longest:
            self._parts[stream] = text
            return None
        return records_in(text)

    def rest(self) -> list[bytes]:
        """The parts that were not completed and may have been calls."""
        return [text for text in self._parts.values() if may_be_call(text)]


def records_in(line: bytes, envelopes: int = _DEEPEST) -> Found:
    """The records in a line, which may be inside of so many envelopes."""
    line = line.removeprefix(b"\xef\xbb\xbf").strip()
    record = _decoded(line)
    if record is not None:
        return Found([(record, line)], [])
    inner = _inside(line) if envelopes else None
    return records_in(inner, envelopes - 1) if inner is not None else _from_pieces(line)


def may_be_call(text: bytes) -> bool:
    """Whether text that is not a record may be one of a call, or a part of one.

    It is not if it is another event, a JSON object without the traces of a call, or plain text: valid UTF-8 that
    neither begins nor ends as a record does.
    """
    if b"\0" in text:
        return True
    try:
        event = _event(text).event
    except UNREADABLE:
        return _may_be_torn(text)
    is_other = isinstance(event, str) and event != _CALL
    return not is_other and _TRACE.search(text) is not None


def moments_in(text: bytes) -> Iterator[datetime]:
    """The times in a damaged record."""
    for found in _MOMENT.findall(text):
        with contextlib.suppress(*UNREADABLE):
            yield _moment(found)


def _may_be_torn(text: bytes) -> bool:
    if _TRACE.search(text):
        return True
    if _EVENT.search(text):  # a heartbeat, or an event of the proxy
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return True
    if text.startswith(b'{"') or text == b"{":
        return True
    return text.endswith(b"}") and (len(text.split()) == 1 or _FIELD.search(text) is not None)


def _from_pieces(line: bytes) -> Found:
    """Split a line where a record begins: after text, after a damaged record, or inside of an event."""
    head, *pieces = line.split(_BEGINNING)
    found = Found([], [head] if may_be_call(head) else [])
    for piece in pieces:
        text = _BEGINNING + piece
        end = text.rstrip(b"\0 \t\r\n,]")
        pairs = [(record, part) for part in (end, end.removesuffix(b"}")) if (record := _decoded(part)) is not None]
        found.records.extend(pairs[:1])
        if b"\0" in text or (not pairs and may_be_call(text)):
            found.lost.append(text if not pairs else LEFT_OUT)
    return found


def _inside(line: bytes) -> bytes | None:
    """The line in an envelope; None if this is none."""
    try:
        envelope = _envelope(line)
    except UNREADABLE:
        return None
    if envelope.event:
        return None
    for value in (envelope.log, envelope.message, envelope.MESSAGE, envelope.line):
        with contextlib.suppress(*UNREADABLE):
            return _text(value).encode()
        with contextlib.suppress(*UNREADABLE):
            return bytes(_bytes(value))  # journald has it like this if it is not UTF-8
    return LEFT_OUT if bytes(envelope.MESSAGE) == b"null" else None  # journald, without --all, and over 4 KiB


def _decoded(text: bytes) -> ReportedCall | Heartbeat | None:
    with contextlib.suppress(*UNREADABLE):
        return decode(text)
    return None
