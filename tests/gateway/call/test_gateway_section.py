"""Calls of the withdrawn section whose path alone has changed."""

import pytest

from tests.gateway.call.relaying import OK, answered, forwarded, get, post, record_of
from tests.support.by_hand import ByHand
from tests.support.wire import Head

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
    hands.proxy.has_read()
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
