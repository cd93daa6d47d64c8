import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.log.envelope import LEFT_OUT, Finder, may_be_call, moments_in, parts_of
from proxy.callers.record import Heartbeat
from tests.callers.lines import DAY, NOW, beats, call, line

RECORD = line(call(caller="whole", user_agent="legacy/1", upstream_ms=3.25)).strip()
BEAT = line(beats(NOW)[0]).strip()


def callers(parts: Iterable[Any]) -> list[str]:
    """The callers of the records, and what may be a call and cannot be read."""
    return ["lost" if isinstance(part, bytes) else getattr(part[0], "caller", "-") for part in parts]


def envelope(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


# --- envelopes


@pytest.mark.parametrize(
    "text",
    [
        RECORD,
        b"\xef\xbb\xbf" + RECORD,
        envelope(log=RECORD.decode() + "\n", stream="stdout", time="2026-11-24T08:00:00Z"),
        envelope(PRIORITY="6", MESSAGE=RECORD.decode()),
        envelope(MESSAGE=list(RECORD)),
        envelope(labels={"log": "x"}, line=RECORD.decode(), timestamp="1"),
        envelope(file="/callers.log", message=RECORD.decode(), log={"offset": 7}),
        envelope(line=envelope(log=RECORD.decode() + "\n").decode()),
        b'{"ts":"2026-11-24T00:00:00Z","event":"record_not_written","reason":"No space","record":%b}' % RECORD,
        b"proxy-1  | " + RECORD,
        b"[pod/shim/proxy] 2026-11-24T08:00:00.1Z " + RECORD,
        b"Nov 24 08:00:00 web-1 trigger-shim[7]: " + RECORD,
        b"2026-11-24T08:00:00.1Z stdout F " + RECORD,
        b"[" + RECORD + b",",
        RECORD + b"]",
    ],
)
def test_a_record_is_found_wherever_it_is_in_its_line(text: bytes) -> None:
    [part] = Finder(1 << 20).find(text + b"\r\n") or []

    assert not isinstance(part, bytes)
    assert callers([part]) == ["whole"]
    assert json.loads(part[1]) == json.loads(RECORD)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RECORD + RECORD, ["whole", "whole"]),
        (RECORD[:90] + RECORD, ["lost", "whole"]),
        (BEAT[:40] + RECORD, ["whole"]),
        (RECORD[:90] + BEAT, ["lost", "-"]),
        (RECORD[:90] + RECORD[150:], ["lost"]),
        (b"\0" * 9 + RECORD, ["lost", "whole"]),
        (RECORD + b"\0" * 9, ["whole", "lost"]),
        (envelope(MESSAGE=None), ["lost"]),
        (envelope(MESSAGE=[300]), []),
        (envelope(message=None), []),
        (envelope(log=RECORD[:90].decode()), ["lost"]),
        (envelope(text=RECORD.decode()), ["lost"]),
        (envelope(message=json.loads(RECORD)), ["lost", "whole"]),
    ],
)
def test_what_is_in_a_line_comes_in_order(text: bytes, expected: list[str]) -> None:
    assert callers(parts_of(text)) == expected


def test_a_record_in_a_string_of_another_event_is_not_found() -> None:
    for key in ("log", "message", "user_agent"):
        assert parts_of(envelope(event="request_failed", **{key: RECORD.decode()})) == []
    spoofed = line(call(user_agent=RECORD.decode())).strip()
    assert callers(parts_of(spoofed.replace(b'"status":200', b'"status":"200"'))) == ["lost"]


def test_envelopes_may_be_as_deep_as_a_bound() -> None:
    text = RECORD
    for _ in range(3):
        text = envelope(log=text.decode())
    assert callers(parts_of(text)) == ["whole"]
    assert callers(parts_of(envelope(log=text.decode()))) == ["lost"]


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"))
    | st.sampled_from([RECORD.decode()])
)
def test_an_envelope_changes_nothing_about_its_line(text: str) -> None:
    assert parts_of(envelope(log=text)) == parts_of(text.encode())


# --- a container runtime


def test_parts_of_a_line_are_joined_for_each_stream() -> None:
    finder, prefix = Finder(1 << 20), b"2026-11-24T08:00:00.1Z"
    assert finder.find(prefix + b" stdout P " + RECORD[:40] + b"\n") is None
    assert finder.find(prefix + b" stderr P not " + b"\n") is None
    assert finder.find(prefix + b" stdout P:7 " + RECORD[40:90] + b"\n") is None
    assert finder.find(prefix + b" stderr F a record\n") == []
    assert callers(finder.find(prefix + b" stdout F " + RECORD[90:] + b"\n") or []) == ["whole"]
    assert finder.rest() == []


def test_a_joined_line_has_a_longest_length() -> None:
    finder, prefix = Finder(2 * len(RECORD)), b"2026-11-24T08:00:00.1Z stdout P "
    assert finder.find(prefix + b"x" * len(RECORD)) is None
    assert callers(finder.find(prefix + b"x" * len(RECORD) + RECORD) or []) == ["whole"]
    assert finder.rest() == []


# --- what may be a call


@pytest.mark.parametrize("length", range(1, len(RECORD)))
def test_a_record_without_its_beginning_or_its_end_may_be_a_call(length: int) -> None:
    assert may_be_call(RECORD[:length])
    assert may_be_call(RECORD[-length:])


@pytest.mark.parametrize("replaced", [b"\0", b"\xff", b"\n", b'"', b"", b"}"])
def test_a_damaged_record_is_read_or_may_be_a_call(replaced: bytes) -> None:
    for index in range(len(RECORD)):
        damaged = RECORD[:index] + replaced + RECORD[index + 1 :]
        assert any(parts_of(text) for text in damaged.split(b"\n")), damaged


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"INFO: started",
        b"[] null 7",
        b"[]",
        b"null",
        b"{}",
        "Grüße".encode(),
        b"\x1b[32mready\x1b[0m",
        b"settings: {'workflow': 'build'}",
        b"{INFO} ready",
        b'"POST /acme/shop/ci_workflows/build/trigger HTTP/1.1" 200',
        b'{"event":"serving","path":"/\\"caller_source\\":"}',
        b'{"ts":"2026-11-24T00:00:00Z","level":"info","event":"serving","workers":',
        b'{"level":"info","caller":"main.go:7","status":200}',
        BEAT[:60],
        BEAT.replace(b"86400.0", b'"a day"'),
    ],
)
def test_other_text_is_not_a_call(text: bytes) -> None:
    assert parts_of(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RECORD[:90], [NOW - DAY]),
        (RECORD[:90] + RECORD[:90].replace(b"-23T", b"-20T"), [NOW - DAY, NOW - 4 * DAY]),
        (RECORD.replace(b'"ts":"2026', b'"ts":"26'), []),
        (RECORD.replace(b"legacy/1", rb"\"ts\":\"2020-01-01T00:00:00Z\""), [NOW - DAY]),
        (LEFT_OUT, []),
    ],
)
def test_the_times_in_a_damaged_record_are_those_outside_of_its_strings(text: bytes, expected: list[Any]) -> None:
    assert list(moments_in(text)) == expected


def test_heartbeats_are_found_as_well() -> None:
    [(beat, _)] = [part for part in parts_of(b"proxy-1  | " + BEAT) if not isinstance(part, bytes)]
    assert isinstance(beat, Heartbeat)
