import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.gateway.headers import Header, first, kept, named_by_connection, sane_request_id, trace_id, translated

REQUEST_ID = b"r-1"


def values(headers: list[Header], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def names(headers: list[Header]) -> set[bytes]:
    return {name for name, _ in headers}


# --- the request


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"trailer",
        b"proxy-authenticate",
        b"proxy-authorization",
    ],
)
def test_a_hop_by_hop_field_is_not_forwarded(name: bytes) -> None:
    assert name not in names(translated([(name, b"x"), (name, b"y")], REQUEST_ID))


@pytest.mark.parametrize(
    "connection",
    [
        [b"x-a, x-b"],
        [b"x-a", b"x-b"],
        [b"close,X-A ,\tX-B"],
        [b",, x-b,,x-a,"],
        [b"keep-alive", b"Upgrade, X-a, X-b"],
    ],
)
def test_the_fields_that_connection_names_are_not_forwarded(connection: list[bytes]) -> None:
    headers = [*((b"connection", value) for value in connection), (b"x-a", b"1"), (b"x-b", b"2"), (b"x-c", b"3")]

    forwarded = translated(headers, REQUEST_ID)

    assert {b"x-a", b"x-b"} <= named_by_connection(headers)
    assert names(forwarded).isdisjoint({b"connection", b"x-a", b"x-b"})
    assert values(forwarded, b"x-c") == [b"3"]


def test_what_the_proxy_sets_itself_cannot_be_taken_away_by_connection() -> None:
    headers = [(b"connection", b"content-type, x-request-id, accept-encoding")]

    forwarded = translated(headers, REQUEST_ID)

    assert values(forwarded, b"content-type") == [b"application/json"]
    assert values(forwarded, b"x-request-id") == [REQUEST_ID]
    assert values(forwarded, b"accept-encoding") == [b"identity"]


@pytest.mark.parametrize("authorization", [b"Bearer abc.def", b"bearer  x ", b"Basic Zm9vOmJhcg==", b"caf\xe9", b""])
def test_authorization_is_forwarded_untouched(authorization: bytes) -> None:
    assert values(translated([(b"authorization", authorization)], REQUEST_ID), b"authorization") == [authorization]


def test_no_authorization_is_added() -> None:
    assert b"authorization" not in names(translated([(b"user-agent", b"curl/8")], REQUEST_ID))


@pytest.mark.parametrize("name", [b"authorization", b"cookie", b"x-forwarded-for", b"forwarded", b"x-custom"])
def test_repeated_fields_are_all_kept_in_their_order(name: bytes) -> None:
    headers = [(name, b"first"), (b"x-between", b"1"), (name, b"second"), (name, b"first")]

    assert [header for header in translated(headers, REQUEST_ID) if header in headers] == headers


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [(b"content-type", b"application/x-www-form-urlencoded")],
        [(b"content-type", b"text/plain"), (b"content-type", b"application/json; charset=koi8-r")],
    ],
)
def test_the_successor_gets_json_whatever_the_tool_called_it(sent: list[Header]) -> None:
    assert values(translated(sent, REQUEST_ID), b"content-type") == [b"application/json"]


@pytest.mark.parametrize(
    "name",
    [
        b"host",
        b"content-length",
        b"content-encoding",
        b"content-md5",
        b"digest",
        b"content-digest",
        b"repr-digest",
        b"expect",
    ],
)
def test_what_is_true_only_of_the_legacy_request_is_not_forwarded(name: bytes) -> None:
    assert name not in names(translated([(name, b"x")], REQUEST_ID))


def test_a_translated_call_asks_for_no_encoding() -> None:
    assert values(translated([(b"accept-encoding", b"gzip, br")], REQUEST_ID), b"accept-encoding") == [b"identity"]


def test_the_request_id_is_this_calls_alone() -> None:
    sent = [(b"x-request-id", b"theirs"), (b"x-request-id", b"again")]

    assert values(translated(sent, REQUEST_ID), b"x-request-id") == [REQUEST_ID]


def test_the_first_of_repeated_headers_is_found_and_an_absent_one_is_none() -> None:
    headers = [(b"a", b"1"), (b"b", b""), (b"a", b"2")]

    assert first(headers, b"a") == b"1"
    assert first(headers, b"b") == b""
    assert first(headers, b"c") is None


# --- the request id


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


# --- the answer


def test_an_error_answer_keeps_when_to_come_back_and_the_services_request_id() -> None:
    answered = [
        (b"Retry-After", b"120"),
        (b"X-Request-ID", b"service-1"),
        (b"WWW-Authenticate", b'Bearer realm="api"'),
        (b"WWW-Authenticate", b"Basic"),
        (b"Content-Type", b"text/html"),
        (b"Content-Length", b"5"),
        (b"Connection", b"close"),
        (b"Set-Cookie", b"session=of-somebody"),
        (b"Server", b"nginx"),
    ]

    assert kept(answered) == [
        (b"retry-after", b"120"),
        (b"x-request-id", b"service-1"),
        (b"www-authenticate", b'Bearer realm="api"'),
        (b"www-authenticate", b"Basic"),
    ]


@pytest.mark.parametrize("control", [b"\x00", b"\r", b"\n", b"\r\nSet-Cookie: a=b", b"\x1b", b"\x7f", b"\x01"])
@pytest.mark.parametrize("name", [b"retry-after", b"x-request-id", b"www-authenticate"])
def test_a_value_with_control_bytes_is_dropped_and_the_others_stay(name: bytes, control: bytes) -> None:
    answered = [(name, b"a" + control + b"b"), (name, b"a" + control), (name, b"good")]

    assert kept(answered) == [(name, b"good")]


@pytest.mark.parametrize("value", [b"", b"a b", b"a\tb", b"caf\xe9", "день".encode()])
def test_a_value_that_http_allows_is_kept(value: bytes) -> None:
    assert kept([(b"x-request-id", value)]) == [(b"x-request-id", value)]
