"""The ID and the trace of a request."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.gateway.headers import sane_request_id, trace_id


@pytest.mark.parametrize(
    "value",
    [
        b"0",
        b"3fa85f64-5717-4562-b3fc-2c963f66afa6",
        b"0123456789abcdef0123456789abcdef",
        b"Root=1-5759e988-bd862e3fe1be46a994272793",
        b"ci/build_7:step.2@host",
        b"dGVzdA==",
        b"x" * 64,
    ],
)
def test_a_sane_request_id_is_kept(value: bytes) -> None:
    assert sane_request_id(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b" ",
        b"a b",
        b"a\tb",
        b"a\nb",
        b"a\r\nX-Evil: 1",
        b"abc\n",
        b"a\x00b",
        b"\x1b[31m",
        b"a\x7f",
        b'a"b',
        b"a\\b",
        b"<script>",
        b"{a}",
        b"a;b",
        b"a,b",
        b"caf\xe9",
        "сборка".encode(),
        b"x" * 1025,
        b"x" * 100_000,
    ],
)
def test_a_request_id_that_is_not_sane_is_not_kept(value: bytes | None) -> None:
    assert sane_request_id(value) is None


@settings(deadline=None)
@given(st.binary())
def test_no_request_id_that_is_kept_needs_escaping_anywhere(value: bytes) -> None:
    assert sane_request_id(value) is None or re.fullmatch(rb"[!#-\[\]-~]+", value)


# --- the trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-00",
        f"00-{TRACE}-00f067aa0ba902b7-ff",
        f"01-{TRACE}-00f067aa0ba902b7-01",
        f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-be-like",
        f"cc-{TRACE}-00f067aa0ba902b7-01-",
        f"fe-{TRACE}-00f067aa0ba902b7-01",
    ],
)
def test_the_trace_id_of_a_valid_traceparent_is_read(traceparent: str) -> None:
    assert trace_id(traceparent.encode()) == TRACE


def test_an_id_of_zeros_but_one_is_valid() -> None:
    lowest = "0" * 31 + "1"

    assert trace_id(f"00-{lowest}-0000000000000001-00".encode()) == lowest


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        b"",
        b"garbage",
        f"00-{TRACE}-00f067aa0ba902b7".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-1".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-0x".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-01-more".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-01-".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-011".encode(),
        f"cc-{TRACE}-00f067aa0ba902b7-01.more".encode(),
        f"ff-{TRACE}-00f067aa0ba902b7-01".encode(),
        f"0-{TRACE}-00f067aa0ba902b7-01".encode(),
        f"000-{TRACE}-00f067aa0ba902b7-01".encode(),
        f".0-{TRACE}-00f067aa0ba902b7-01".encode(),
        f"00-{TRACE[:-1]}-00f067aa0ba902b7-01".encode(),
        f"00-{TRACE}0-00f067aa0ba902b7-01".encode(),
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01".encode(),
        f"00-{TRACE[:-1]}z-00f067aa0ba902b7-01".encode(),
        f"00-{'0' * 32}-00f067aa0ba902b7-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE}-00F067AA0BA902B7-01".encode(),
        f"00-{TRACE}-00f067aa0ba902b-01".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-01\n".encode(),
        f"00_{TRACE}_00f067aa0ba902b7_01".encode(),
        f"00-{TRACE}-00f067aa0ba902b7-01,00-{TRACE}-00f067aa0ba902b7-01".encode(),
        b"\xff\xfe",
    ],
)
def test_an_invalid_traceparent_has_no_trace_id(traceparent: bytes | None) -> None:
    assert trace_id(traceparent) is None
