"""What goes through unchanged: caller and upstream are played by hand, the proxy between them is the real one."""

import contextlib
import gzip
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy import config
from proxy.config.values import Address
from proxy.gateway.app import App
from proxy.gateway.call.body import FORWARDED_FROM
from proxy.gateway.server import server
from tests.harness import Broken, ByHand, Head, Proxy, Upstream, Wire, by_hand, proxy_for, until
from tests.processes import running
from tests.sockets import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    with by_hand(tmp_path_factory.mktemp("shared")) as hands:
        yield hands


@pytest.fixture
def hands(shared: ByHand) -> Iterator[ByHand]:
    yield shared
    shared.settle()


def get(target: bytes = b"/x", headers: bytes = b"", method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    return method + b" " + target + b" HTTP/" + version + b"\r\nHost: proxy\r\n" + headers + b"\r\n"


def post(body: bytes, target: bytes = b"/x", headers: bytes = b"") -> bytes:
    return get(target, b"Content-Length: %d\r\n" % len(body) + headers, b"POST") + body


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def forwarded(hands: ByHand, request: bytes, answer: bytes = OK) -> Head:
    """The head of what goes upstream for a request."""
    hands.caller(request)
    upstream = hands.upstream()
    head = upstream.head()
    upstream.send(answer)
    return head


def answered(hands: ByHand, answer: bytes, request: bytes | None = None) -> tuple[Head, bytes]:
    """What the caller gets for an answer."""
    request = request or get()
    caller = hands.caller(request)
    upstream = hands.upstream()
    upstream.head()
    upstream.send(answer)
    return caller.answer(request.split()[0].decode())


def record_of(proxy: Proxy, request_id: bytes) -> dict[str, Any]:
    """The one record of a call."""
    [record] = until(lambda: [r for r in proxy.records() if r["request_id"] == request_id.decode()])
    return dict(record)


# --- the withdrawn section

CUBE = b"7/build/task/cube"
SECTION = [
    ("run_workflows", b"POST", b"/acme/shop/cicd/runs"),
    ("list_runs", b"GET", b"/acme/shop/cicd/runs"),
    ("get_run", b"GET", b"/acme/shop/cicd/runs/7"),
    ("get_workflow", b"GET", b"/acme/shop/cicd/runs/7/build"),
    ("get_logs", b"GET", b"/acme/shop/cicd/logs/" + CUBE),
    ("get_artifacts", b"GET", b"/acme/shop/cicd/artifacts/" + CUBE),
    ("update_repository", b"PATCH", b"/acme/shop"),
    ("delete_repository", b"DELETE", b"/acme/shop"),
]
ERROR = b"HTTP/1.1 503 X\r\nContent-Type: text/html\r\nRetry-After: 9\r\nContent-Length: 13\r\n\r\n<h1>busy</h1>"


@pytest.mark.parametrize(("name", "method", "path"), SECTION)
@pytest.mark.parametrize("answer", [OK, ERROR], ids=["answer", "error"])
def test_a_call_of_the_section_is_the_same_call_under_its_new_path(
    hands: ByHand, name: str, method: bytes, path: bytes, answer: bytes
) -> None:
    request_id = b"%b-%d" % (name.encode(), len(answer))
    request = get(path + b"?silent=1&page=2", b"Content-Length: 2\r\nX-Request-ID: " + request_id + b"\r\n", method)
    caller = hands.caller(request + b"{}")
    upstream = hands.upstream()
    seen = upstream.head()
    assert upstream.body(2) == b"{}"
    upstream.send(answer)
    head, body = caller.answer()

    assert seen.line == method + b" /repos" + path + b"?silent=1&page=2 HTTP/1.1"
    assert seen.all(b"x-request-id") == [request_id]
    assert answer.endswith(b"\r\n\r\n" + body)
    assert head.status == int(answer.split()[1])
    check_announced(head, path)
    record = record_of(hands.proxy, request_id)
    expected = ("forwarded", 200) if answer == OK else ("upstream_error", 503)
    assert (record["outcome"], record["status"], record["upstream_status"]) == (*expected, expected[1])
    assert (record["endpoint"], record["method"]) == (name, method.decode())
    assert (record["path"], record["successor"]) == (path.decode(), "/repos" + path.decode())
    assert (record["org"], record["repo"]) == ("acme", "shop")
    assert record["duration_ms"] >= record["upstream_ms"] > 0


def check_announced(head: Head, path: bytes) -> None:
    assert head.all(b"deprecation") == [b"@1764547200"]
    [link] = head.all(b"link")
    assert b"/repos" + path + b'>; rel="successor-version"' in link
    assert b'rel="deprecation"' in link


SLUGS = [b"%7Euser", b"~user", b"a;b", b"a;v=1", b"a%3Bb", b"a+b", b"%C3%A9", b"a'b!"]
NAMES = [*SLUGS, b"release%2Fprod", b"a%25b", b"id:5"]


@pytest.mark.parametrize("segment", SLUGS)
@pytest.mark.parametrize(
    "query",
    [b"", b"?", b"?page_size=5&page_token=a%2Bb%3D", b"?a=1&a=2&b=&a=1", b"?a;b", b"?x=%zz&?=/../", b"?p=~%7E+%20"],
)
def test_segments_and_query_go_to_the_successor_byte_for_byte(hands: ByHand, segment: bytes, query: bytes) -> None:
    path = b"/" + segment + b"/shop/cicd/runs/" + segment + b"/" + segment
    assert forwarded(hands, get(path + query)).target == b"/repos" + path + query


@pytest.mark.parametrize("segment", NAMES)
def test_names_go_to_the_successor_byte_for_byte(hands: ByHand, segment: bytes) -> None:
    path = b"/acme/shop/cicd/logs/7/" + b"/".join([segment] * 3)
    assert forwarded(hands, get(path)).target == b"/repos" + path


def test_the_links_of_odd_segments_are_still_one_url(hands: ByHand) -> None:
    head, _ = answered(hands, OK, get(b"/a%3Bb/a;b/cicd/runs/%7E"))
    check_announced(head, b"/a%3Bb/a;b/cicd/runs/%7E")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"DELETE", b"/repos/id:1"),
        (b"PATCH", b"/issues/id:5"),
        (b"DELETE", b"/teams/id:42"),
        (b"PATCH", b"/next/cloud-id:5"),
        (b"GET", b"/users/alice"),
        (b"GET", b"/me/issues"),
        (b"POST", b"/repos/a/b/cicd/runs"),
        (b"GET", b"/repos/a/b/cicd/runs/7"),
        (b"GET", b"/acme/shop"),
    ],
)
def test_a_current_call_is_left_alone_and_not_recorded(hands: ByHand, method: bytes, target: bytes) -> None:
    caller = hands.caller(get(target, b"Content-Length: 0\r\nX-Request-ID: current\r\n", method))
    upstream = hands.upstream()
    assert upstream.head().target == target
    upstream.send(OK)
    head, _ = caller.answer()
    assert (head.all(b"deprecation"), head.all(b"link")) == ([], [])
    hands.settle()
    answered(hands, OK, get(b"/acme/shop/cicd/runs", b"X-Request-ID: after%b\r\n" % target.replace(b"/", b"-")))
    # Records are in the order of their calls.
    record_of(hands.proxy, b"after%b" % target.replace(b"/", b"-"))
    assert all(record["request_id"] != "current" for record in hands.proxy.records())


@pytest.mark.parametrize(
    ("method", "target", "name"),
    [
        (b"PATCH", b"/cicd/ci_workflows", "update_repository"),
        (b"DELETE", b"/ci_workflows/cicd", "delete_repository"),
        (b"GET", b"/cicd/cicd/cicd/runs", "list_runs"),
        (b"GET", b"/ci_workflows/runs/cicd/runs/7", "get_run"),
    ],
)
def test_an_organization_may_be_called_as_the_section_is(
    hands: ByHand, method: bytes, target: bytes, name: str
) -> None:
    request_id = name.encode() + b"-words"
    assert forwarded(hands, get(target, b"X-Request-ID: %b\r\n" % request_id, method)).target == b"/repos" + target
    assert record_of(hands.proxy, request_id)["endpoint"] == name


def test_the_id_of_a_call_is_in_its_request_its_answer_and_its_record(hands: ByHand) -> None:
    caller = hands.caller(get(b"/acme/shop/cicd/runs", b"X-Request-ID: two words\r\n"))
    upstream = hands.upstream()
    [request_id] = upstream.head().all(b"x-request-id")
    upstream.send(OK)
    head, _ = caller.answer()
    assert head.all(b"x-request-id") == [request_id] != [b"two words"]
    assert record_of(hands.proxy, request_id)["endpoint"] == "list_runs"


def test_the_services_own_id_of_an_answer_is_kept(hands: ByHand) -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-Request-ID: theirs\r\nContent-Length: 0\r\n\r\n"
    head, _ = answered(hands, answer, get(b"/acme/shop/cicd/runs"))
    assert head.all(b"x-request-id") == [b"theirs"]


@pytest.mark.parametrize(("name", "method", "path"), SECTION)
def test_an_answer_that_is_lost_is_told_and_speaks_of_runs_only_where_one_may_have_started(
    hands: ByHand, name: str, method: bytes, path: bytes
) -> None:
    request_id = name.encode() + b"-lost"
    caller = hands.caller(get(path, b"Content-Length: 0\r\nX-Request-ID: %b\r\n" % request_id, method))
    upstream = hands.upstream()
    upstream.head()
    upstream.close()
    head, body = caller.answer()
    assert (head.status, head.all(b"x-request-id")) == (502, [request_id])
    check_announced(head, path)
    assert (b'"run_started":"unknown"' in body) == (name == "run_workflows")
    assert (b"A run may have been started" in body) == (name == "run_workflows")
    record = record_of(hands.proxy, request_id)
    assert (record["outcome"], record["status"], record["error_code"]) == (
        "upstream_error",
        502,
        "UpstreamConnectionLost",
    )


def test_an_answer_that_breaks_off_is_recorded_with_the_status_that_the_caller_saw(hands: ByHand) -> None:
    caller = hands.caller(get(b"/acme/shop/cicd/runs", b"X-Request-ID: cut\r\n"))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234")
    caller.head()
    assert caller.body(4) == b"1234"
    upstream.close()
    assert caller.ended()
    record = record_of(hands.proxy, b"cut")
    assert (record["outcome"], record["status"], record["upstream_status"]) == ("upstream_error", 200, 200)
    assert record["error_code"] == "UpstreamConnectionLost"


def test_a_caller_that_leaves_before_the_answer_does_not_stop_a_call_of_the_section(hands: ByHand) -> None:
    caller = hands.caller(post(b"{}", b"/acme/shop/cicd/runs", b"X-Request-ID: left\r\n"))
    upstream = hands.upstream()
    upstream.head()
    caller.close()
    assert hands.proxy.call("/-/healthz", method="GET", body=None).status == 200
    assert upstream.body(2) == b"{}"
    upstream.send(OK)
    record = record_of(hands.proxy, b"left")
    assert (record["outcome"], record["upstream_status"], record["client_gone"]) == ("forwarded", 200, True)


@pytest.mark.parametrize("segment", [b"%2e%2E", b"a%2Fb", b"a%00b", b"%C0%AE%C0%AE", b"a%7f", b"%C2%85"])
@pytest.mark.parametrize(("name", "method", "path"), SECTION)
def test_a_repository_that_is_no_slug_is_refused_and_recorded(
    hands: ByHand, name: str, method: bytes, path: bytes, segment: bytes
) -> None:
    request_id = b"%b-no-slug-%b" % (name.encode(), segment.replace(b"%", b"-"))
    caller = hands.caller(get(path.replace(b"shop", segment), b"X-Request-ID: %b\r\n" % request_id, method))
    head, body = caller.answer()
    assert head.status == 400
    assert b'"InvalidPath"' in body
    assert record_of(hands.proxy, request_id)["outcome"] == "rejected"


# --- requests


@pytest.mark.parametrize(
    "method", [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND", b"PURGE", b"M-SEARCH", b"REPORT"]
)
def test_any_method_goes_through(hands: ByHand, method: bytes) -> None:
    assert forwarded(hands, get(b"/x", b"", method)).line == method + b" /x HTTP/1.1"


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"//a//b/",
        b"/a/../b/./c",
        b"/%2e%2e/a",
        b"/a%2Fb/%7E/~/a;b=1,2",
        b"/a%20b+c%zz%",
        b"/x?",
        b"/x??",
        b"/?a=1&a=2&&b",
        b"/x?page_token=a%2Bb%3D",
        b"/x?a=%2F/../&b=http://e.example/",
        b"/x?a;b",
        b"/x?q=%D1%81%D0%B1+x",
        b'/x?{"a":"b|c^d`"}',
        b"/" + b"a" * 8000,
    ],
)
def test_path_and_query_go_through_byte_for_byte(hands: ByHand, target: bytes) -> None:
    assert forwarded(hands, get(target)).line == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize(
    ("target", "below"), [(b"/x?a=1", b"/x?a=1"), (b"/o/r/cicd/runs?", b"/repos/o/r/cicd/runs?"), (b"/", b"/")]
)
def test_the_path_of_the_upstreams_url_comes_first(tmp_path: Path, target: bytes, below: bytes) -> None:
    with by_hand(tmp_path, base="/base%2F/v1") as hands:
        assert forwarded(hands, get(target)).target == b"/base%2F/v1" + below


BODIES = [b"x", b"0\r\n\r\n", bytes(range(256)) * 300, gzip.compress(b"a" * 100_000)]


@pytest.mark.parametrize("body", BODIES, ids=len)
def test_a_body_with_a_length_goes_through_with_that_length(hands: ByHand, body: bytes) -> None:
    hands.caller(post(body, headers=b"Content-Encoding: gzip\r\nContent-Type: text/x; a=b\r\n"))
    upstream = hands.upstream()
    head = upstream.head()
    assert upstream.body(len(body)) == body
    assert (head.all(b"content-length"), head.all(b"transfer-encoding")) == ([b"%d" % len(body)], [])
    assert (head.all(b"content-encoding"), head.all(b"content-type")) == ([b"gzip"], [b"text/x; a=b"])


@pytest.mark.parametrize("body", BODIES, ids=len)
def test_a_body_in_chunks_goes_through_in_chunks_without_its_trailers(hands: ByHand, body: bytes) -> None:
    pieces = chunk(body[:7]) + (chunk(body[7:]) if body[7:] else b"")
    hands.caller(get(b"/x", b"Transfer-Encoding: chunked\r\n", b"PUT") + pieces + b"0\r\nX-Sum: 1\r\n\r\n")
    upstream = hands.upstream()
    head = upstream.head()
    assert upstream.chunks() == body
    assert (head.all(b"content-length"), head.all(b"transfer-encoding")) == ([], [b"chunked"])
    assert head.all(b"x-sum") == []


def test_an_empty_body_in_chunks_stays_one(hands: ByHand) -> None:
    hands.caller(get(b"/x", b"Transfer-Encoding: chunked\r\n", b"POST") + b"0\r\n\r\n")
    upstream = hands.upstream()
    assert upstream.head().all(b"transfer-encoding") == [b"chunked"]
    assert upstream.chunks() == b""


@pytest.mark.parametrize(
    ("request_", "lengths"),
    [(get(), []), (post(b""), [b"0"]), (get(method=b"DELETE"), []), (get(method=b"POST"), [])],
    ids=["GET", "POST 0", "DELETE", "POST"],
)
def test_a_request_without_a_body_does_not_get_one(hands: ByHand, request_: bytes, lengths: list[bytes]) -> None:
    hands.caller(request_)
    upstream = hands.upstream()
    head = upstream.head()
    assert (head.all(b"content-length"), head.all(b"transfer-encoding")) == (lengths, [])


BEGIN = bytes(FORWARDED_FROM)
"""How much of a body must have arrived before a connection to the service is taken."""


def begun(length: int) -> bytes:
    """A request of which so many bytes are still to come."""
    return get(b"/x", b"Content-Length: %d\r\n" % (len(BEGIN) + length), b"PUT") + BEGIN


def begun_at(hands: ByHand) -> Wire:
    """The connection on which that request has arrived."""
    upstream = hands.upstream()
    upstream.head()
    assert upstream.body(len(BEGIN)) == BEGIN
    return upstream


def test_a_request_goes_on_as_it_comes_and_not_when_it_is_whole(hands: ByHand) -> None:
    caller = hands.caller(begun(6))
    upstream = begun_at(hands)
    for piece in (b"ab", b"cd", b"ef"):
        caller.send(piece)
        assert upstream.body(2) == piece


@pytest.mark.parametrize(
    "expect",
    [
        b"100-continue",
        b"100-Continue ",
        b"\t100-continue \t",
        b"x, 100-continue",
        b"100-continue ,x",
        b"x\r\nExpect: 100-continue",
    ],
)
def test_a_caller_that_waits_for_100_continue_is_told_to_go_on_and_the_upstream_is_not_asked(
    hands: ByHand, expect: bytes
) -> None:
    caller = hands.caller(get(b"/x", b"Content-Length: 2\r\nExpect:%b\r\n" % expect, b"PUT"))
    assert caller.head().line == b"HTTP/1.1 100 Continue"
    caller.send(b"{}")
    upstream = hands.upstream()
    assert upstream.head().all(b"expect") == []
    assert upstream.body(2) == b"{}"
    upstream.send(OK)
    assert caller.answer()[0].status == 200


# --- headers of requests


def test_the_headers_of_a_request_go_through_in_their_order_and_byte_for_byte(hands: ByHand) -> None:
    fields = [
        (b"accept-encoding", b"br;q=1.0, gzip"),
        (b"x-a", b"1"),
        (b"cookie", b"a=b; c=d"),
        (b"x-a", b"2, 3"),
        (b"x-bytes", b"caf\xe9 \xff"),
        (b"authorization", b"Bearer a.b"),
        (b"x-empty", b""),
        (b"x-a", b"1"),
        (b"range", b"bytes=0-9"),
        (b"if-none-match", b'W/"x", "y"'),
        (b"x-request-id", b"any thing"),
    ]
    head = forwarded(hands, get(headers=b"".join(b"%b: %b\r\n" % field for field in fields)))
    assert [(name.lower(), value) for name, value in head.headers if (name.lower(), value) in fields] == fields


def test_white_space_around_a_value_is_not_part_of_it(hands: ByHand) -> None:
    sent = b"Authorization:  Bearer a \t\r\nX-A:\t a \tb\t \r\nX-Empty: \t \r\nX-Request-ID: spaced \r\n"
    caller = hands.caller(get(b"/acme/shop/cicd/runs", sent))
    upstream = hands.upstream()
    head = upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length:  2 \t\r\nX-B: \tc \t\r\n\r\nok")
    back, body = caller.answer()
    assert [head.all(name) for name in (b"authorization", b"x-a", b"x-empty")] == [[b"Bearer a"], [b"a \tb"], [b""]]
    assert (back.all(b"x-b"), back.all(b"content-length"), body) == ([b"c"], [b"2"], b"ok")
    assert record_of(hands.proxy, b"spaced")["caller_source"] == "token"


def test_a_field_does_not_get_past_the_tables_under_a_name_that_servers_behind_read_the_same(hands: ByHand) -> None:
    names = (
        b"X_Forwarded_For X-Forwarded_For X_Forwarded_Proto X_Forwarded_Host Proxy_Authorization Proxy_Connection"
        b" Keep_Alive Transfer_Encoding Content_Length User_Agent X_Request_ID"
    ).split()
    sent = b"".join(b"%b: evil\r\n" % name for name in names)
    for target in (b"/x", b"/acme/shop/cicd/runs"):
        head = forwarded(hands, get(target, sent + b"X_Custom: 1\r\nCI_JOB_ID: 2\r\nX-Request-ID: mine\r\n"))
        assert all(value != b"evil" for _, value in head.headers)
        assert [head.all(name) for name in (b"x_custom", b"ci_job_id", b"x-request-id")] == [[b"1"], [b"2"], [b"mine"]]
        hands.settle()


REPEATED = [
    (b"Authorization: Bearer mine\r\nAuthorization: Bearer another\r\n", b"Authorization"),
    (b"Authorization: Bearer mine\r\nAuthorization: Bearer mine\r\n", b"Authorization"),
    (b"User-Agent: nightly/1\r\nuser-agent: other/2\r\n", b"User-Agent"),
    (b"X-Caller: nightly\r\nX-CALLER: other\r\n", b"X-Caller"),
]


@pytest.mark.parametrize(("sent", "field"), REPEATED)
@pytest.mark.parametrize(
    ("method", "path"), [(b"POST", b"/acme/shop/ci_workflows/build/trigger"), (b"DELETE", b"/acme/shop")]
)
def test_a_withdrawn_call_that_says_twice_what_the_proxy_acts_on_is_refused_and_recorded(
    tmp_path: Path, sent: bytes, field: bytes, method: bytes, path: bytes
) -> None:
    with by_hand(tmp_path, callers={"header": "X-Caller"}) as hands:
        caller = hands.caller(get(path, sent + b"X-Request-ID: twice\r\nContent-Length: 2\r\n", method) + b"{}")
        head, body = caller.answer()
        record = record_of(hands.proxy, b"twice")
    assert (head.status, head.all(b"x-request-id")) == (400, [b"twice"])
    assert b'"InvalidRequest"' in body
    assert b"2 %b headers, which may differ. Send %b once." % (field, field) in body
    assert (b'"run_started":"no"' in body) == (method == b"POST")
    assert (record["outcome"], record["status"], record["error_code"]) == ("rejected", 400, "InvalidRequest")


def test_two_tokens_are_refused_everywhere_and_other_fields_only_where_the_proxy_acts_on_them(hands: ByHand) -> None:
    head, body = hands.caller(get(headers=REPEATED[0][0])).answer()
    assert (head.status, b'"InvalidRequest"' in body) == (400, True)
    twice = get(headers=b"User-Agent: a\r\nUser-Agent: b\r\nX-Caller: c\r\nX-Caller: d\r\n")
    head = forwarded(hands, twice)
    assert (head.all(b"user-agent"), head.all(b"x-caller")) == ([b"a", b"b"], [b"c", b"d"])


def test_the_id_of_a_withdrawn_call_is_the_only_one_that_is_handed_on(hands: ByHand) -> None:
    sent = b"X-Request-ID: only\r\nX-Request-ID: another\r\n"
    assert forwarded(hands, get(b"/acme/shop/cicd/runs", sent)).all(b"x-request-id") == [b"only"]


def test_options_are_handed_on_so_many_times(hands: ByHand) -> None:
    head = forwarded(hands, get(b"/x", b"Max-Forwards: 10\r\n", b"OPTIONS"))
    assert head.all(b"max-forwards") == [b"9"]
    hands.settle()
    assert forwarded(hands, get(b"/x", b"Max-Forwards: 10\r\n")).all(b"max-forwards") == [b"10"]


@pytest.mark.parametrize(
    "request_",
    [
        get(b"/x", b"Max-Forwards: 0\r\n", b"OPTIONS"),
        get(b"/x", b"Max-Forwards: 000 \r\n", b"OPTIONS"),
        get(b"http://proxy/x", b"Max-Forwards: 0\r\n", b"OPTIONS"),
        get(b"*", b"Max-Forwards: 0\r\n", b"OPTIONS"),
        get(b"*", b"", b"OPTIONS"),
    ],
)
def test_options_that_go_no_further_are_answered_here(hands: ByHand, request_: bytes) -> None:
    caller = hands.caller(request_ + get(b"/after"))
    head, body = caller.answer()
    assert (head.status, body, b"OPTIONS" in head.all(b"allow")[0]) == (200, b"", True)
    assert hands.upstream().head().target == b"/after"


@pytest.mark.parametrize("hops", [b"x", b"-1", b"", b"1, 1", b"1\r\nMax-Forwards: 1", b"0\r\nMax-Forwards: 5"])
def test_options_with_no_number_of_hops_are_refused(hands: ByHand, hops: bytes) -> None:
    head, body = hands.caller(get(b"/x", b"Max-Forwards: %b\r\n" % hops, b"OPTIONS")).answer()
    assert (head.status, b"Max-Forwards" in body) == (400, True)


def test_an_ipv4_caller_on_a_socket_for_both_families_is_called_by_its_own_address(
    upstream: Upstream, tmp_path: Path
) -> None:
    log = tmp_path / "callers.jsonl"
    values = {"callers": {"log": str(log), "trusted_proxies": ["127.0.0.0/8"]}, "upstream": {"url": upstream.url}}
    try:
        public = server.bind("listen", Address("::", 0))
    except server.ServeError:
        pytest.skip("there is no IPv6 here")
    proxy = Proxy("127.0.0.1", public.getsockname()[1], log)
    with server.background(App(config.load(None, {}, values)), public):
        proxy.call()
        proxy.call(headers={"X-Forwarded-For": "192.0.2.1"})
    assert [request.all("x-forwarded-for") for request in upstream.received] == [
        ["127.0.0.1"],
        ["192.0.2.1, 127.0.0.1"],
    ]
    assert [record["client_ip"] for record in proxy.records()] == ["127.0.0.1", "192.0.2.1"]


def test_what_the_caller_did_not_say_is_not_said_for_it(hands: ByHand) -> None:
    head = forwarded(hands, get(b"/x"))
    assert {name.lower() for name, _ in head.headers} == {
        b"host",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
    }


def test_what_concerns_one_connection_does_not_go_through(hands: ByHand) -> None:
    sent = (
        b"Connection: keep-alive, X-Own\r\nX-Own: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\n"
        b"Trailer: X-Sum\r\nProxy-Authorization: Basic eDp5\r\nUpgrade: h2c\r\nX-Stays: 1\r\n"
    )
    names = {name.lower() for name, _ in forwarded(hands, get(headers=sent)).headers}
    gone = b"connection x-own keep-alive proxy-connection te trailer proxy-authorization upgrade transfer-encoding"
    assert names.isdisjoint(gone.split())
    assert b"x-stays" in names


@pytest.mark.parametrize("options", [b"Content-Length", b"close, content-length, transfer-encoding"])
def test_no_second_request_comes_out_of_a_body_whose_length_connection_names(hands: ByHand, options: bytes) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    hands.caller(post(hidden, headers=b"Connection: %b\r\n" % options))
    upstream = hands.upstream()
    assert upstream.head().all(b"content-length") == [b"%d" % len(hidden)]
    assert upstream.body(len(hidden)) == hidden


def test_the_host_is_the_upstreams(hands: ByHand) -> None:
    caller = hands.caller(b"GET http://evil.example/x HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    upstream = hands.upstream()
    head = upstream.head()
    assert head.target == b"/x"
    assert head.all(b"host") == [b"%b:%d" % (b"127.0.0.1", upstream.connection.getsockname()[1])]
    assert head.all(b"x-forwarded-host") == [b"evil.example"]
    upstream.send(OK)
    assert caller.answer()[0].status == 200


HOPS = (
    b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: api.example\r\nForwarded: for=x\r\n"
)


def test_what_a_trusted_peer_says_of_earlier_hops_is_added_to(hands: ByHand) -> None:
    head = forwarded(hands, get(headers=HOPS + b"X-Forwarded-For: 10.1.2.3\r\nVia: 1.0 first\r\n"))
    assert head.all(b"x-forwarded-for") == [b"203.0.113.7, 10.1.2.3, 127.0.0.1"]
    assert head.all(b"x-forwarded-proto") == [b"https, http"]
    assert head.all(b"x-forwarded-host") == [b"api.example, proxy"]
    assert head.all(b"forwarded") == [b"for=x"]
    assert head.all(b"via") == [b"1.0 first", b"1.1 trigger-shim"]


def test_what_a_stranger_says_of_earlier_hops_is_replaced(tmp_path: Path) -> None:
    with by_hand(tmp_path, callers={"trusted_proxies": ["10.0.0.0/8"]}) as hands:
        head = forwarded(hands, get(headers=HOPS))
    assert head.all(b"x-forwarded-for") == [b"127.0.0.1"]
    assert head.all(b"x-forwarded-proto") == [b"http"]
    assert head.all(b"x-forwarded-host") == [b"proxy"]
    assert head.all(b"forwarded") == []


def test_a_trace_goes_through_and_is_in_the_record(hands: ByHand) -> None:
    trace = b"00-%b-00f067aa0ba902b7-01" % TRACE.encode()
    sent = b"traceparent: %b\r\ntracestate: a=b\r\nX-Request-ID: traced\r\n" % trace
    head = forwarded(hands, get(b"/acme/shop/cicd/runs", sent))
    assert (head.all(b"traceparent"), head.all(b"tracestate")) == ([trace], [b"a=b"])
    assert record_of(hands.proxy, b"traced")["trace_id"] == TRACE


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/users/alice"), ("GET", "/o/r/cicd/runs"), ("POST", "/o/r/ci_workflows/w/trigger")]
)
def test_a_proxy_that_is_its_own_upstream_says_so_after_one_turn(tmp_path: Path, method: str, path: str) -> None:
    port = free_port()
    with own_upstream(port, tmp_path) as proxy:
        answer = proxy.call(path, b"{}", method=method)
        assert (answer.status, answer.json()["error_code"]) == (508, "LoopDetected")
        assert len(until(proxy.records) if path != "/users/alice" else proxy.records()) == (path != "/users/alice")


@contextlib.contextmanager
def own_upstream(port: int, folder: Path) -> Iterator[Proxy]:
    log = folder / "callers.jsonl"
    values = {"callers": {"log": str(log)}, "upstream": {"url": f"http://127.0.0.1:{port}"}}
    public = server.bind("listen", Address("127.0.0.1", port))
    with server.background(App(config.load(None, {}, values)), public):
        yield Proxy("127.0.0.1", port, log)


# --- answers


@pytest.mark.parametrize(
    "status", [200, 201, 202, 206, 207, 226, 299, 300, 400, 401, 404, 409, 410, 418, 429, 451, 499]
)
def test_a_status_goes_back_as_it_is(hands: ByHand, status: int) -> None:
    head, body = answered(hands, b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\nabc" % status)
    assert (head.status, body) == (status, b"abc")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_handed_on_and_not_followed(hands: ByHand, status: int) -> None:
    location = b"http://elsewhere.example/a%2Fb?c=%zz"
    head, _ = answered(hands, b"HTTP/1.1 %d X\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, location))
    assert (head.status, head.all(b"location")) == (status, [location])


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
def test_an_error_of_whatever_form_is_handed_on_untouched(hands: ByHand, status: int) -> None:
    fields = b"Content-Type: text/html\r\nRetry-After: 7\r\nProxy-Status: lb; error=x\r\n"
    head, body = answered(hands, b"HTTP/1.1 %d X\r\n%bContent-Length: 8\r\n\r\n<h1>\xff\x00ab" % (status, fields))
    assert (head.status, body) == (status, b"<h1>\xff\x00ab")
    assert (head.all(b"retry-after"), head.all(b"proxy-status")) == ([b"7"], [b"lb; error=x"])


def test_the_headers_of_an_answer_go_back_in_their_order_and_byte_for_byte(hands: ByHand) -> None:
    fields = [
        (b"set-cookie", b"a=1; Expires=Mon, 01 Dec 2025 00:00:00 GMT"),
        (b"x-a", b"1"),
        (b"set-cookie", b"b=2"),
        (b"server", b"nginx"),
        (b"x-bytes", b"caf\xe9 \xff"),
        (b"x-a", b"1"),
        (b"date", b"Mon, 01 Dec 2025 00:00:00 GMT"),
        (b"etag", b'W/"x"'),
        (b"x-empty", b""),
        (b"content-type", b"application/octet-stream"),
        (b"set-cookie", b"a=1"),
        (b"www-authenticate", b'Bearer realm="a", Basic'),
        (b"content-length", b"0"),
    ]
    lines = b"".join(b"%b: %b\r\n" % (name.title(), value) for name, value in fields)
    head, _ = answered(hands, b"HTTP/1.1 200 OK\r\n%b\r\n" % lines)
    assert head.headers == [*fields, (b"via", b"1.1 trigger-shim")]


def test_an_answer_without_a_date_gets_one_and_no_server(hands: ByHand) -> None:
    head, _ = answered(hands, OK)
    assert len(head.all(b"date")) == 1
    assert head.all(b"server") == []


def test_what_concerns_one_connection_does_not_go_back(hands: ByHand) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: X-Own, upgrade\r\nConnection: x-two\r\nX-Own: 1\r\nX-Two: 2\r\n"
        b"Keep-Alive: timeout=5\r\nUpgrade: h2,h2c\r\nTrailer: X-Sum\r\nProxy-Authenticate: Basic\r\n"
        b"Proxy-Connection: close\r\nTrailers: no special name\r\nVia: 1.1 lb\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    head, body = answered(hands, answer + chunk(b"ok") + b"0\r\nX-Sum: 1\r\n\r\n")
    gone = b"connection x-own x-two keep-alive upgrade trailer proxy-authenticate proxy-connection x-sum"
    assert {name for name, _ in head.headers}.isdisjoint(gone.split())
    assert (head.all(b"trailers"), head.all(b"via")) == ([b"no special name"], [b"1.1 lb", b"1.1 trigger-shim"])
    assert body == b"ok"


ZIPPED = gzip.compress(b"a" * 100_000)


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"x-unknown"])
def test_a_content_encoding_is_not_undone(hands: ByHand, encoding: bytes) -> None:
    fields = b"Content-Encoding: %b\r\nContent-Length: %d\r\n" % (encoding, len(ZIPPED))
    head, body = answered(hands, b"HTTP/1.1 200 OK\r\n%b\r\n" % fields + ZIPPED)
    assert (head.all(b"content-encoding"), body) == ([encoding], ZIPPED)


@pytest.mark.parametrize("body", [b"", *BODIES], ids=len)
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_a_body_comes_back_however_its_end_is_marked(hands: ByHand, body: bytes, framing: str) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(framed(body, framing))
    upstream.close()
    head, got = caller.answer()
    assert got == body
    assert head.all(b"content-length") == ([b"%d" % len(body)] if framing == "length" else [])
    assert head.all(b"transfer-encoding") == ([] if framing == "length" else [b"chunked"])


def framed(body: bytes, framing: str, status: bytes = b"200 OK") -> bytes:
    start = b"HTTP/1.1 " + status + b"\r\n"
    if framing == "length":
        return start + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "chunks":
        return start + b"Transfer-Encoding: chunked\r\n\r\n" + (chunk(body) if body else b"") + b"0\r\n\r\n"
    return start + b"\r\n" + body


@pytest.mark.parametrize("framing", [b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_an_answer_goes_on_as_it_comes_and_not_when_it_is_whole(hands: ByHand, framing: bytes) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\n%b\r\n" % framing)
    in_chunks = b"Length" not in framing
    assert caller.head().all(b"transfer-encoding") == ([b"chunked"] if in_chunks else [])
    for piece in (b"ab", b"cd", b"ef"):
        upstream.send(chunk(piece) if b"chunked" in framing else piece)
        assert (caller.chunk() if in_chunks else caller.body(2)) == piece


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 404 X\r\nContent-Length: 7\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 X\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 X\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 X\r\nContent-Length: 100\r\n\r\n"),
        (b"GET", b"HTTP/1.1 205 X\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_an_answer_without_a_body_leaves_both_connections_good(hands: ByHand, method: bytes, answer: bytes) -> None:
    caller = hands.caller(get(b"/first", b"", method))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(answer)
    head, _ = caller.answer(method.decode())
    assert head.status == int(answer.split()[1])
    assert head.all(b"content-length") == ([answer.split()[-1]] if b"Length" in answer else [])
    caller.send(get(b"/second"))
    assert upstream.head().target == b"/second"
    upstream.send(OK)
    assert caller.answer()[1] == b"ok"


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX-Early: 1\r\n\r\n",
        b"HTTP/1.1 199 X\r\n\r\n" * 50,
    ],
)
def test_interim_answers_are_dropped_with_their_headers(hands: ByHand, interim: bytes) -> None:
    head, body = answered(hands, interim + OK)
    assert (head.status, body) == (200, b"ok")
    assert (head.all(b"link"), head.all(b"x-early")) == ([], [])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 600 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 000 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 20 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nok",
        b"HTTP/1.1 101 X\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 5000 + b"2\r\n\r\nok",
        b"HTTP/1.1 304 X\r\nContent-Length: " + b"0" * 5000 + b"2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=lambda answer: repr(answer[:60]),
)
def test_an_answer_that_is_none_is_a_502_in_the_error_schema(hands: ByHand, answer: bytes) -> None:
    head, body = answered(hands, answer, get(headers=b"X-Request-ID: r-1\r\n"))
    assert (head.status, head.all(b"x-request-id")) == (502, [b"r-1"])
    assert head.all(b"proxy-status") == [b"trigger-shim; error=http_protocol_error"]
    assert b'{"error_code":"UpstreamInvalidAnswer",' in body
    assert head.all(b"x-a") == []


def test_an_answer_of_absurd_length_is_recorded_as_none(hands: ByHand) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %b2\r\n\r\nok" % (b"0" * 5000)
    head, _ = answered(hands, answer, get(b"/acme/shop/cicd/runs", b"X-Request-ID: absurd\r\n"))
    record = record_of(hands.proxy, b"absurd")
    assert head.status == 502
    assert (record["outcome"], record["status"], record["error_code"]) == (
        "upstream_error",
        502,
        "UpstreamInvalidAnswer",
    )


@pytest.mark.parametrize("target", [b"/x", b"/acme/shop/cicd/runs"])
@pytest.mark.parametrize("length", [b"0", b"5", b"0" * 5 + b"2"])
def test_204_has_no_length(hands: ByHand, target: bytes, length: bytes) -> None:
    caller = hands.caller(get(target))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 204 X\r\nContent-Length: %b\r\nX-A: 1\r\n\r\n" % length)
    head, _ = caller.answer()
    assert (head.status, head.all(b"x-a")) == (204, [b"1"])
    assert (head.all(b"content-length"), head.all(b"transfer-encoding"), head.all(b"connection")) == ([], [], [])
    caller.send(get(b"/-/healthz"))
    assert caller.answer()[1] == b"ok\n"


def test_an_offer_of_websocket_that_connection_does_not_name_is_ignored(hands: ByHand) -> None:
    head = forwarded(hands, get(headers=b"Upgrade: websocket\r\nConnection: keep-alive\r\n"))
    assert (head.all(b"upgrade"), head.all(b"connection")) == ([], [])


def test_a_websocket_is_refused_and_nothing_is_forwarded(hands: ByHand) -> None:
    caller = hands.caller(get(headers=b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"))
    head, body = caller.answer()
    assert head.status == 501
    assert b'"UpgradeRefused"' in body


def test_an_upstream_that_cannot_be_reached_is_told_and_recorded(tmp_path: Path) -> None:
    with socket.socket() as bound:  # and not listening: nobody else can get the port meanwhile
        bound.bind(("127.0.0.1", 0))
        with proxy_for("http://{}:{}".format(*bound.getsockname()), tmp_path) as proxy:
            current = proxy.call("/x", b"{}")
            withdrawn = proxy.call("/acme/shop/cicd/runs", b"{}")
            [record] = until(proxy.records)
    for answer in (current, withdrawn):
        assert (answer.status, answer.json()["error_code"]) == (502, "UpstreamUnreachable")
        assert answer.header("proxy-status") == "trigger-shim; error=connection_refused"
    assert (current.json()["details"], withdrawn.json()["details"]) == ({}, {"run_started": "no"})
    assert (record["outcome"], "upstream_status" in record) == ("unreachable", False)


@pytest.mark.parametrize("path", ["/x", "/acme/shop/cicd/runs"])
def test_a_fault_of_the_proxy_itself_is_told_to_both_sides(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise RuntimeError("about Bearer SECRET")

    public, log = server.loopback(), tmp_path / "callers.jsonl"
    app = App(config.load(None, {}, {"callers": {"log": str(log)}}), transport=httpx.MockTransport(fail))
    with server.background(app, public):
        answer = Proxy("127.0.0.1", public.getsockname()[1], log).call(path, method="GET", body=None)
    assert (answer.status, answer.json()["error_code"]) == (500, "ProxyInternalError")
    [line] = capfd.readouterr().err.splitlines()
    assert " exception=RuntimeError place=" in line
    assert answer.json()["request_id"] in line
    assert "SECRET" not in line


# --- what breaks off

CUT = [
    b"Content-Length: 9\r\n\r\n12345678",
    b"Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n9\r\n12345678",
    b"Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n",
]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("end", [Wire.close, Wire.reset])
@pytest.mark.parametrize("cut", CUT)
@pytest.mark.parametrize("target", [b"/x", b"/acme/shop/cicd/runs"])
def test_an_answer_that_is_cut_off_never_looks_whole(
    hands: ByHand, version: bytes, end: Callable[[Wire], None], cut: bytes, target: bytes
) -> None:
    caller = hands.caller(get(target, version=version))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\n" + cut)
    assert caller.head().status == 200
    end(upstream)
    with pytest.raises((Broken, ConnectionResetError)):
        whole_body(caller, chunked=b"chunked" in cut and version == b"1.1", length=b"Length" in cut)


def whole_body(caller: Wire, *, chunked: bool, length: bool) -> None:
    if chunked:
        caller.chunks()
    elif length:
        caller.body(9)
    else:
        caller.rest()


def test_an_answer_that_ends_with_its_connection_and_is_reset_never_looks_whole(hands: ByHand) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\n12345678")
    caller.head()
    assert caller.chunk() == b"12345678"
    upstream.reset()
    with pytest.raises((Broken, ConnectionResetError)):
        caller.chunks()


@pytest.mark.parametrize("end", [Wire.close, Wire.reset])
@pytest.mark.parametrize(
    ("framing", "sent"),
    [(b"Content-Length: 70000\r\n", BEGIN), (b"Transfer-Encoding: chunked\r\n", chunk(BEGIN))],
)
def test_a_request_that_is_cut_off_is_cut_off_upstream_too(
    hands: ByHand, end: Callable[[Wire], None], framing: bytes, sent: bytes
) -> None:
    caller = hands.caller(get(b"/x", framing, b"PUT") + sent)
    upstream = hands.upstream()
    upstream.head()
    assert upstream.body(len(sent)) == sent
    end(caller)
    with contextlib.suppress(ConnectionResetError):
        assert upstream.rest() == b""


@pytest.mark.parametrize("end", [Wire.close, Wire.reset])
def test_a_caller_that_leaves_its_download_ends_the_upstreams(hands: ByHand, end: Callable[[Wire], None]) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"x"))
    caller.head()
    end(caller)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        pour(upstream, 256 << 20)


def test_an_early_answer_is_handed_on_while_the_upload_goes_on(hands: ByHand) -> None:
    caller = hands.caller(get(b"/x", b"Content-Length: 1000000\r\n", b"PUT") + BEGIN)
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno")
    head, body = caller.answer()
    assert (head.status, body) == (413, b"no")
    # The rest of the body can go nowhere, and the next request could not be told from it.
    assert caller.ended()
    assert upstream.ended()


def test_an_answer_may_begin_before_the_request_ends(hands: ByHand) -> None:
    caller = hands.caller(get(b"/x", b"Transfer-Encoding: chunked\r\n", b"POST") + chunk(BEGIN))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert upstream.chunk() == BEGIN
    upstream.send(chunk(b"AB"))
    caller.head()
    assert caller.chunk() == b"AB"
    caller.send(chunk(b"cd") + b"0\r\n\r\n")
    assert upstream.chunks() == b"cd"
    upstream.send(chunk(b"CD") + b"0\r\n\r\n")
    assert caller.chunks() == b"CD"


# --- time and memory


def sent_until_full(wire: Wire) -> int:
    """Send until the other end takes no more, and say how much it took."""
    total, piece = 0, bytes(1 << 16)
    wire.connection.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while total < 256 << 20:
            total += wire.connection.send(piece)
    wire.connection.settimeout(20)
    return total


# What the kernel holds of four sockets, at the most that Linux tunes them to, and the proxy's own buffers.
HELD = 32 << 20


def test_a_slow_caller_slows_the_upstream_down(hands: ByHand) -> None:
    length = 256 << 20
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
    total = sent_until_full(upstream)
    assert total < HELD
    caller.head()
    caller.body(total)


def test_a_slow_upstream_slows_the_caller_down(hands: ByHand) -> None:
    caller = hands.caller(begun(256 << 20))
    upstream = begun_at(hands)
    total = sent_until_full(caller)
    assert total < HELD
    upstream.body(total)


IMPATIENT = {"timeout": 1.0, "connect_timeout": 0.9}


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[ByHand]:
    with by_hand(tmp_path, upstream=IMPATIENT) as hands:
        yield hands


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_an_upstream_that_does_not_begin_to_answer_is_given_up(impatient: ByHand) -> None:
    caller = impatient.caller(get(b"/acme/shop/cicd/runs", b"X-Request-ID: silent\r\n"))
    upstream = impatient.upstream()
    upstream.head()
    head, body = caller.answer()
    assert head.status == 504
    assert b'"UpstreamTimeout"' in body
    assert upstream.ended()
    assert record_of(impatient.proxy, b"silent")["outcome"] == "timeout"


def test_an_upstream_that_rests_in_its_answer_breaks_the_caller_off(impatient: ByHand) -> None:
    caller = impatient.caller(get())
    upstream = impatient.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234")
    caller.head()
    with pytest.raises((Broken, ConnectionResetError)):
        caller.body(9)
    assert upstream.ended()


def test_an_upstream_that_takes_no_more_of_a_request_is_given_up(impatient: ByHand) -> None:
    caller = impatient.caller(begun(256 << 20))
    impatient.upstream().head()
    with contextlib.suppress(ConnectionError):
        sent_until_full(caller)
    assert caller.head().status == 504


def test_a_long_steady_answer_is_not_cut_off(impatient: ByHand) -> None:
    caller = impatient.caller(get())
    upstream = impatient.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
    for _ in range(8):
        pause(0.2)
        upstream.send(b"x")
    assert caller.answer()[1] == b"x" * 8


def test_a_long_steady_request_is_not_cut_off(impatient: ByHand) -> None:
    caller = impatient.caller(begun(8))
    upstream = begun_at(impatient)
    for _ in range(8):
        pause(0.2)
        caller.send(b"x")
    assert upstream.body(8) == b"x" * 8
    upstream.send(OK)
    assert caller.answer()[0].status == 200


def test_the_time_in_which_the_caller_rests_is_not_the_upstreams(impatient: ByHand) -> None:
    caller = impatient.caller(begun(2))
    upstream = begun_at(impatient)
    pause(1.2)
    caller.send(b"ab")
    assert upstream.body(2) == b"ab"
    length = 64 << 20
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
    total = sent_until_full(upstream)
    pause(1.2)
    sending = threading.Thread(target=upstream.send, args=(bytes(length - total),))
    sending.start()
    assert len(caller.answer()[1]) == length
    sending.join()


SIZE = 200 << 20
RESIDENT = 120 << 10  # KiB


@contextlib.contextmanager
def serving(upstream: str, folder: Path) -> Iterator[tuple[Proxy, int]]:
    """A proxy in a process of its own, and that process's number."""
    port = free_port()
    command = [sys.executable, "-m", "proxy", "serve", "--listen", f"127.0.0.1:{port}", "--upstream", upstream]
    given = {**os.environ, "TRIGGER_SHIM__ADMIN": "null", "TRIGGER_SHIM__CALLERS__LOG": str(folder / "callers.jsonl")}
    with running(subprocess.Popen(command, env=given, cwd=folder)) as process:
        proxy = Proxy("127.0.0.1", port, folder / "callers.jsonl")
        until(lambda: listens(proxy))
        yield proxy, process.pid


def listens(proxy: Proxy) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        return proxy.call("/-/readyz", method="GET", body=None).status == 200
    return False


def peak(process: int) -> int:
    """The most memory that a process had resident, in KiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def pour(wire: Wire, size: int) -> None:
    piece = bytes(1 << 20)
    for _ in range(size >> 20):
        wire.send(piece)


def drain(wire: Wire, size: int) -> int:
    piece, got = bytearray(1 << 20), 0
    while got < size and (count := wire.stream.readinto1(piece)):  # type: ignore[attr-defined]
        got += count
    return got


def test_bodies_of_any_size_go_through_in_little_memory(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "http://{}:{}".format(*listener.getsockname())
        with serving(url, tmp_path) as (proxy, process):
            hands = ByHand(proxy, listener)
            length = b"Content-Length: %d\r\n" % SIZE
            caller = hands.caller(begun(SIZE))
            upstream = begun_at(hands)
            carried(caller, upstream)
            upstream.send(b"HTTP/1.1 200 OK\r\n%b\r\n" % length)
            caller.head()
            carried(upstream, caller)
            most = peak(process)
            hands.settle()
    assert most < RESIDENT


def carried(source: Wire, sink: Wire) -> None:
    pouring = threading.Thread(target=pour, args=(source, SIZE))
    pouring.start()
    assert drain(sink, SIZE) == SIZE
    pouring.join()


# --- connections that are used again


def test_a_callers_connection_stays_good_whatever_the_upstream_does_with_its_own(hands: ByHand) -> None:
    caller = hands.caller()
    for _ in range(3):
        caller.send(get(headers=b"Connection: keep-alive\r\n"))
        upstream = hands.upstream()
        upstream.head()
        upstream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        head, body = caller.answer()
        assert (head.all(b"connection"), body) == ([], b"ok")


def idle(hands: ByHand) -> Wire:
    """The other end of a connection in the proxy's pool."""
    caller = hands.caller(get(b"/first"))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(OK)
    caller.answer()
    return upstream


@pytest.mark.parametrize("target", [b"/x", b"/acme/shop/cicd/runs"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
@pytest.mark.parametrize("end", [Wire.close, Wire.reset])
def test_a_harmless_request_that_met_a_closing_connection_is_sent_again_on_a_fresh_one(
    hands: ByHand, target: bytes, method: bytes, end: Callable[[Wire], None]
) -> None:
    stale = idle(hands)
    caller = hands.caller(get(target, method=method))
    lost = stale.head()
    end(stale)
    fresh = hands.upstream()
    assert fresh.head() == lost
    fresh.send(OK)
    assert caller.answer(method.decode())[0].status == 200


@pytest.mark.parametrize(
    "request_",
    [
        post(b""),
        get(method=b"DELETE"),
        get(method=b"PATCH"),
        get(method=b"PUT"),
        get(method=b"PROPFIND"),
        get(b"/acme/shop", b"Content-Length: 2\r\n", b"PATCH") + b"{}",
        get(b"/x", b"Content-Length: 2\r\n") + b"{}",
    ],
    ids=lambda request: repr(request[:30]),
)
def test_any_other_request_is_sent_once(hands: ByHand, request_: bytes) -> None:
    stale = idle(hands)
    caller = hands.caller(request_)
    stale.head()
    stale.close()
    head, body = caller.answer()
    assert head.status == 502
    assert b'"UpstreamConnectionLost"' in body
    assert_no_more_connections(hands)


def assert_no_more_connections(hands: ByHand) -> None:
    hands._listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        hands._listener.accept()


def test_a_harmless_request_is_sent_again_once_and_only_over_a_connection_used_before(hands: ByHand) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.close()
    assert caller.answer()[0].status == 502
    assert_no_more_connections(hands)


def test_a_harmless_request_is_not_sent_again_once_an_answer_has_begun(hands: ByHand) -> None:
    upstream = idle(hands)
    caller = hands.caller(get())
    upstream.head()
    upstream.send(b"H")
    upstream.close()
    assert caller.answer()[0].status == 502
    assert_no_more_connections(hands)


@pytest.mark.parametrize("surplus", [OK, b"garbage", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"])
@pytest.mark.parametrize("first", [OK, framed(b"ok", "chunks"), b"HTTP/1.1 304 X\r\n\r\n", b"HTTP/1.1 204 X\r\n\r\n"])
def test_what_follows_an_answer_is_nobodys(hands: ByHand, first: bytes, surplus: bytes) -> None:
    answered(hands, first + surplus)
    fresh_caller = hands.caller(get())
    fresh = hands.upstream()
    fresh.head()
    fresh.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
    assert fresh_caller.answer()[1] == b"mine"
