"""Finds records in lines that are more, or less, than a record.

Pure. Log stores and container runtimes wrap each line: they put text before it, or make it a string in a JSON object.
Two lines can have run together, and a line can be damaged. What may have been a call is told: it must not be forgotten.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec

from proxy.callers.record import CallRecord, Heartbeat, ReportedCall

Pair = tuple[ReportedCall | Heartbeat, bytes]
"""A record and its line."""

Part = Pair | bytes
"""What is in a line: a record, or text that may be a call and cannot be read."""

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

_EVENT = re.compile(rb'"event": ?"[^"\\]*"')
_FIELD = re.compile(rb'"(?:%b)":' % "|".join(CallRecord.__struct_fields__).encode())
_MOMENT = re.compile(rb'"ts": ?("[^"\\]{1,40}")')
_CRI = re.compile(rb"\S+ (stdout|stderr) ([PF])(?::\S*)? (.*)", re.DOTALL)
"""A line of a container runtime for Kubernetes: a time, the stream, and whether the line is partial or full."""


class _Envelope(msgspec.Struct):
    """What docker (log), Vector and others (message), journald (MESSAGE) and Loki (line) put a line into."""

    event: msgspec.Raw = msgspec.Raw()
    log: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    MESSAGE: msgspec.Raw = msgspec.Raw()
    line: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    event: Any = None
    caller_source: msgspec.Raw = msgspec.Raw()


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

    def find(self, line: bytes) -> list[Part] | None:
        """What is in a line, in order; None if it is only the beginning of one."""
        part = _CRI.match(line)
        if part is None:
            return parts_of(line)
        stream, kind, text = part.groups()
        text = self._parts.pop(stream, b"") + text.rstrip(b"\r\n")
        if kind == b"P" and len(text) <= self._longest:
            self._parts[stream] = text
            return None
        return parts_of(text)

    def rest(self) -> list[bytes]:
        """The lines that were not completed and may be calls."""
        return [text for text in self._parts.values() if may_be_call(text)]


def parts_of(line: bytes, envelopes: int = _DEEPEST) -> list[Part]:
    """The records in a line, which may be inside of so many envelopes, and what else in it may be a call."""
    line = line.removeprefix(b"\xef\xbb\xbf").strip()
    record = _decoded(line)
    if record is not None:
        return [(record, line)]
    inner = _inside(line) if envelopes else None
    return parts_of(inner, envelopes - 1) if inner is not None else _from_pieces(line)


def may_be_call(text: bytes) -> bool:
    """Whether text that is not a record may be one of a call, or a part of one.

    It is not if it is another event, a JSON object without the traces of a call, or plain text: valid UTF-8 that
    neither begins nor ends as a record does.
    """
    if b"\0" in text:
        return True
    try:
        found = _event(text)
    except UNREADABLE:
        return _may_be_torn(text)
    is_other = isinstance(found.event, str) and found.event != _CALL and not found.caller_source
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


def _from_pieces(line: bytes) -> list[Part]:
    """Split a line where a record begins: after text, after a damaged record, or inside of an event."""
    head, *pieces = line.split(_BEGINNING)
    found: list[Part] = [head] if may_be_call(head) else []
    for piece in pieces:
        found += _piece(_BEGINNING + piece)
    return found


def _piece(text: bytes) -> list[Part]:
    record = text.rstrip(b"\0 \t\r\n,]")
    for part in (record, record.removesuffix(b"}")):
        if (found := _decoded(part)) is not None:
            return [(found, part), LEFT_OUT] if b"\0" in text else [(found, part)]
    return [text] if may_be_call(text) else []


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
