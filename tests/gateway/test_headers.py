from collections.abc import Callable

import msgspec
import pytest

from proxy.gateway import headers
from proxy.gateway.headers import (
    HOP_BY_HOP,
    REPLACED,
    Header,
    Hop,
    error_headers,
    first,
    named_by_connection,
    response_headers,
)

REQUEST_ID = b"r-1"
TRUSTED = Hop("198.51.100.7", trusted=True, scheme="https", version="1.1")
STRANGER = msgspec.structs.replace(TRUSTED, trusted=False)

HOST = (b"host", b"shim.example:8080")

Pass = Callable[[list[Header]], list[Header]]


def forwarded(request: list[Header], hop: Hop = TRUSTED) -> list[Header]:
    return headers.forwarded(request, dict(reversed(request)), hop)


def translated(request: list[Header], hop: Hop = TRUSTED) -> list[Header]:
    return headers.translated(request, dict(reversed(request)), hop, REQUEST_ID)


def values(headers: list[Header], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def names(headers: list[Header]) -> set[bytes]:
    return {name for name, _ in headers}


requests = pytest.mark.parametrize("passed", [forwarded, translated])
both_ways = pytest.mark.parametrize("passed", [forwarded, translated, response_headers])


# --- in every direction


@both_ways
@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"upgrade",
        b"trailer",
        b"proxy-authenticate",
        b"proxy-authorization",
    ],
)
def test_a_hop_by_hop_field_does_not_cross(passed: Pass, name: bytes) -> None:
    assert name not in names(passed([(name, b"x"), (name, b"y")]))


@pytest.mark.parametrize("passed", [translated, response_headers])
def test_the_framing_of_one_connection_is_not_that_of_the_next(passed: Pass) -> None:
    assert b"transfer-encoding" not in names(passed([(b"transfer-encoding", b"chunked")]))


@both_ways
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
def test_the_fields_that_connection_names_do_not_cross(passed: Pass, connection: list[bytes]) -> None:
    sent = [*((b"connection", value) for value in connection), (b"x-a", b"1"), (b"x-b", b"2"), (b"x-c", b"3")]

    found = passed(sent)

    assert {b"x-a", b"x-b"} <= named_by_connection(sent)
    assert names(found).isdisjoint({b"connection", b"x-a", b"x-b"})
    assert values(found, b"x-c") == [b"3"]


@both_ways
@pytest.mark.parametrize("connection", [b"", b",", b" , "])
def test_a_connection_that_names_nothing_takes_nothing_away(passed: Pass, connection: bytes) -> None:
    assert values(passed([(b"connection", connection), (b"x-c", b"3")]), b"x-c") == [b"3"]


@pytest.mark.parametrize("passed", [forwarded, response_headers])
def test_the_length_of_a_body_cannot_be_taken_away_by_connection(passed: Pass) -> None:
    sent = [(b"connection", b"Content-Length"), (b"content-length", b"5")]

    assert values(passed(sent), b"content-length") == [b"5"]


@both_ways
@pytest.mark.parametrize("name", [b"authorization", b"cookie", b"set-cookie", b"x-custom", b"accept"])
def test_repeated_fields_are_all_kept_in_their_order(passed: Pass, name: bytes) -> None:
    sent = [(name, b"first"), (b"x-between", b"1"), (name, b"second"), (name, b"first")]

    assert [header for header in passed(sent) if header in sent] == sent


@both_ways
@pytest.mark.parametrize("value", [b"caf\xe9", "сборка".encode(), b"\xff\xfe", b"", b'a, "b;c"', b"a\tb"])
def test_a_value_crosses_byte_for_byte(passed: Pass, value: bytes) -> None:
    assert values(passed([(b"x-value", value)]), b"x-value") == [value]


# --- names with underscores, which CGI and its heirs read as if they had hyphens


def spellings(name: bytes) -> list[bytes]:
    """A name with its first, its last, and all of its hyphens made underscores."""
    first, last = name.replace(b"-", b"_", 1), b"_".join(name.rsplit(b"-", 1))
    return [first, last, name.replace(b"-", b"_")]


@pytest.mark.parametrize("hop", [STRANGER, TRUSTED], ids=["stranger", "trusted"])
@pytest.mark.parametrize("passed", [forwarded, translated])
@pytest.mark.parametrize("name", [name for name in (*HOP_BY_HOP, *REPLACED) if b"-" in name])
def test_a_field_that_does_not_cross_does_not_cross_under_a_name_that_reads_the_same(
    passed: Callable[[list[Header], Hop], list[Header]], hop: Hop, name: bytes
) -> None:
    sent = [HOST, (name, b"own"), *((spelling, b"evil") for spelling in spellings(name))]

    assert all(value != b"evil" for _, value in passed(sent, hop))


@requests
@pytest.mark.parametrize("name", [b"content-length", b"transfer-encoding", b"user-agent", b"x-request-id"])
def test_what_the_proxy_acts_on_has_no_second_value_under_a_name_that_reads_the_same(passed: Pass, name: bytes) -> None:
    assert names(passed([(spelling, b"evil") for spelling in spellings(name)])).isdisjoint(spellings(name))


def test_the_encoding_that_is_asked_for_is_the_proxys_own_in_every_spelling() -> None:
    request = [HOST, (b"accept_encoding", b"br"), (b"content_length", b"9")]
    sent = headers.whole(request, dict(request), STRANGER, b"id")
    assert names(sent).isdisjoint({b"accept_encoding", b"content_length"})
    assert values(sent, b"accept-encoding") == [b"identity"]


@pytest.mark.parametrize("name", [b"content-type", b"content-encoding", b"content-md5", b"accept-encoding"])
def test_what_is_not_translated_does_not_cross_under_a_name_that_reads_the_same(name: bytes) -> None:
    assert names(translated([(name.replace(b"-", b"_"), b"evil")])).isdisjoint({name.replace(b"-", b"_")})
    assert values(forwarded([(name.replace(b"-", b"_"), b"theirs")]), name.replace(b"-", b"_")) == [b"theirs"]


@both_ways
@pytest.mark.parametrize("connection", [b"x-own-field", b"X_Own_Field", b"x-own_field"])
def test_a_field_that_connection_names_does_not_cross_in_any_spelling(passed: Pass, connection: bytes) -> None:
    sent = [(b"connection", connection), (b"x-own-field", b"1"), (b"x_own_field", b"2"), (b"x-own_field", b"3")]

    assert names(passed(sent)).isdisjoint({name for name, _ in sent})


@pytest.mark.parametrize("connection", [b"content_length", b"Content_Length, x_a"])
@pytest.mark.parametrize("passed", [forwarded, response_headers])
def test_the_length_of_a_body_cannot_be_taken_away_by_a_name_that_reads_the_same(
    passed: Pass, connection: bytes
) -> None:
    assert values(passed([(b"connection", connection), (b"content-length", b"5")]), b"content-length") == [b"5"]


@both_ways
@pytest.mark.parametrize("name", [b"x_custom", b"_", b"__host__", b"x_forwarded_for_us", b"ci_job_token", b"x_via"])
def test_any_other_name_with_underscores_crosses(passed: Pass, name: bytes) -> None:
    assert values(passed([(name, b"1"), (b"connection", b"keep-alive, x-own")]), name) == [b"1"]


# --- white space around a value


@pytest.mark.parametrize("value", [b"x ", b"x\t", b"x \t \t"])
def test_white_space_behind_a_value_of_an_answer_is_not_part_of_it(value: bytes) -> None:
    assert response_headers([(b"X-A", value)])[0] == (b"x-a", b"x")
    assert error_headers([(b"X-Request-ID", value)]) == [(b"x-request-id", b"x")]


# --- the request


@requests
@pytest.mark.parametrize("authorization", [b"Bearer abc.def", b"bearer  x ", b"Basic Zm9vOmJhcg==", b"caf\xe9", b""])
def test_authorization_is_forwarded_untouched(passed: Pass, authorization: bytes) -> None:
    assert values(passed([(b"authorization", authorization)]), b"authorization") == [authorization]


@requests
@pytest.mark.parametrize("name", [b"authorization", b"user-agent", b"cookie", b"accept", b"origin", b"x-real-ip"])
def test_what_the_caller_did_not_send_is_not_made_up(passed: Pass, name: bytes) -> None:
    assert name not in names(passed([(b"x-custom", b"1")]))


@requests
@pytest.mark.parametrize("name", [b"host", b"expect"])
def test_what_concerns_this_proxy_alone_is_not_forwarded(passed: Pass, name: bytes) -> None:
    assert name not in names(passed([(name, b"x")]))


@pytest.mark.parametrize(
    "name", [b"content-length", b"content-type", b"content-encoding", b"content-md5", b"digest", b"accept-encoding"]
)
def test_what_is_said_of_a_body_goes_with_it(name: bytes) -> None:
    assert values(forwarded([(name, b"x")]), name) == [b"x"]
    assert values(response_headers([(name, b"x")]), name) == [b"x"]


def test_a_body_that_came_in_chunks_goes_on_in_chunks() -> None:
    assert values(forwarded([(b"transfer-encoding", b"chunked")]), b"transfer-encoding") == [b"chunked"]
    assert b"transfer-encoding" not in names(forwarded([]))


def test_chunks_cannot_be_taken_away_by_connection() -> None:
    sent = [(b"connection", b"transfer-encoding"), (b"transfer-encoding", b"chunked")]

    assert values(forwarded(sent), b"transfer-encoding") == [b"chunked"]


@requests
def test_this_proxy_is_added_to_the_way_of_a_request_with_the_version_that_it_came_in(passed: Pass) -> None:
    assert values(passed([]), b"via") == [b"1.1 trigger-shim"]
    assert values(headers.forwarded([], {}, msgspec.structs.replace(TRUSTED, version="1.0")), b"via") == [
        b"1.0 trigger-shim"
    ]


@both_ways
def test_this_proxy_is_the_last_on_the_way(passed: Pass) -> None:
    sent = [(b"via", b"1.0 fred, 1.1 p.example.net"), (b"via", b"1.1 other")]

    assert values(passed(sent), b"via") == [b"1.0 fred, 1.1 p.example.net", b"1.1 other", b"1.1 trigger-shim"]


HOPS = [
    (b"x-forwarded-for", b"198.51.100.7"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"shim.example:8080"),
]


@pytest.mark.parametrize("request_headers", [forwarded, translated])
@pytest.mark.parametrize(("name", "own"), HOPS)
def test_what_a_stranger_says_of_earlier_hops_is_replaced(
    request_headers: Callable[[list[Header], Hop], list[Header]], name: bytes, own: bytes
) -> None:
    sent = [HOST, (name, b"10.0.0.1"), (name, b"evil")]

    assert values(request_headers(sent, STRANGER), name) == [own]


@pytest.mark.parametrize("request_headers", [forwarded, translated])
@pytest.mark.parametrize(("name", "own"), HOPS)
def test_what_a_trusted_peer_says_of_earlier_hops_is_added_to(
    request_headers: Callable[[list[Header], Hop], list[Header]], name: bytes, own: bytes
) -> None:
    sent = [HOST, (name, b"first, second"), (name, b"third")]

    assert values(request_headers(sent, TRUSTED), name) == [b"first, second, third, " + own]


@pytest.mark.parametrize("hop", [STRANGER, TRUSTED], ids=["stranger", "trusted"])
@pytest.mark.parametrize(("name", "own"), HOPS)
def test_the_last_hop_is_told_where_nothing_came(hop: Hop, name: bytes, own: bytes) -> None:
    assert values(forwarded([HOST], hop), name) == [own]
    assert values(forwarded([HOST, (name, b"")], hop), name) == [own]


@pytest.mark.parametrize(("name", "own"), HOPS)
def test_the_hops_cannot_be_taken_away_by_connection(name: bytes, own: bytes) -> None:
    assert values(forwarded([HOST, (b"connection", name)], STRANGER), name) == [own]


def test_a_request_without_a_host_has_no_forwarded_host() -> None:
    assert b"x-forwarded-host" not in names(forwarded([]))


def test_the_hops_of_rfc_7239_are_believed_from_a_trusted_peer_only() -> None:
    sent = [(b"forwarded", b"for=192.0.2.60;proto=http")]

    assert values(forwarded(sent, TRUSTED), b"forwarded") == [b"for=192.0.2.60;proto=http"]
    assert b"forwarded" not in names(forwarded(sent, STRANGER))
    assert b"forwarded" not in names(translated(sent, STRANGER))


# --- the request that is translated


def test_what_the_proxy_sets_itself_cannot_be_taken_away_by_connection() -> None:
    found = translated([(b"connection", b"content-type, x-request-id, accept-encoding, via, x-forwarded-for")])

    assert values(found, b"content-type") == [b"application/json"]
    assert values(found, b"x-request-id") == [REQUEST_ID]
    assert values(found, b"accept-encoding") == [b"identity"]
    assert values(found, b"via") == [b"1.1 trigger-shim"]
    assert values(found, b"x-forwarded-for") == [b"198.51.100.7"]


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [(b"content-type", b"application/x-www-form-urlencoded")],
        [(b"content-type", b"text/plain"), (b"content-type", b"application/json; charset=koi8-r")],
    ],
)
def test_the_successor_gets_json_whatever_the_tool_called_it(sent: list[Header]) -> None:
    assert values(translated(sent), b"content-type") == [b"application/json"]


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
    assert name not in names(translated([(name, b"x")]))


def test_a_translated_call_asks_for_no_encoding() -> None:
    assert values(translated([(b"accept-encoding", b"gzip, br")]), b"accept-encoding") == [b"identity"]


def test_the_request_id_is_this_calls_alone() -> None:
    sent = [(b"x-request-id", b"theirs"), (b"x-request-id", b"again")]

    assert values(translated(sent), b"x-request-id") == [REQUEST_ID]


def test_the_first_of_repeated_headers_is_found_and_an_absent_one_is_none() -> None:
    sent = [(b"a", b"1"), (b"b", b""), (b"a", b"2")]

    assert first(sent, b"a") == b"1"
    assert first(sent, b"b") == b""
    assert first(sent, b"c") is None


# --- the answer


def test_the_names_in_an_answer_are_told_apart_without_their_case() -> None:
    sent = [(b"Connection", b"X-Own"), (b"X-OWN", b"1"), (b"Keep-Alive", b"timeout=5"), (b"ETag", b'"a"')]

    assert response_headers(sent) == [(b"etag", b'"a"'), (b"via", b"1.1 trigger-shim")]


def test_an_answer_keeps_whose_it_is_and_when_it_was_made() -> None:
    sent = [(b"server", b"nginx"), (b"date", b"Mon, 01 Dec 2025 00:00:00 GMT"), (b"location", b"http://a/b")]

    assert response_headers(sent)[:-1] == sent


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

    assert error_headers(answered) == [
        (b"retry-after", b"120"),
        (b"x-request-id", b"service-1"),
        (b"www-authenticate", b'Bearer realm="api"'),
        (b"www-authenticate", b"Basic"),
    ]


@pytest.mark.parametrize("control", [b"\x00", b"\r", b"\n", b"\r\nSet-Cookie: a=b", b"\x1b", b"\x7f", b"\x01"])
@pytest.mark.parametrize("name", [b"retry-after", b"x-request-id", b"www-authenticate"])
def test_a_value_with_control_bytes_is_dropped_and_the_others_stay(name: bytes, control: bytes) -> None:
    answered = [(name, b"a" + control + b"b"), (name, b"a" + control), (name, b"good")]

    assert error_headers(answered) == [(name, b"good")]


@pytest.mark.parametrize("value", [b"", b"a b", b"a\tb", b"caf\xe9", "день".encode()])
def test_a_value_that_http_allows_is_kept(value: bytes) -> None:
    assert error_headers([(b"x-request-id", value)]) == [(b"x-request-id", value)]
