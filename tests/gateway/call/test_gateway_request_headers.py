"""What goes upstream of a request's headers."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import config
from proxy.config.values import Address
from proxy.gateway.app import App
from proxy.gateway.server import listeners, server
from proxy.gateway.server.listeners import ServeError
from tests.gateway.call.relaying import OK, forwarded, get, post, record_of
from tests.support.by_hand import ByHand, by_hand
from tests.support.proxy import Proxy
from tests.support.sockets import free_port
from tests.support.upstream import Upstream
from tests.support.waiting import until


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


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

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
    values = {
        "callers": {"log": str(log), "trusted_proxies": ["127.0.0.0/8"]},
        "ledger": None,
        "upstream": {"url": upstream.url},
    }
    try:
        public = listeners.bind("listen", Address("::", 0))
    except ServeError:
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
    assert head.all(b"host") == [b"%b:%d" % (b"127.0.0.1", upstream.socket.getsockname()[1])]
    assert head.all(b"x-forwarded-host") == [b"evil.example"]
    upstream.send(OK)
    assert caller.answer().status == 200


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
    values = {"callers": {"log": str(log)}, "ledger": None, "upstream": {"url": f"http://127.0.0.1:{port}"}}
    public = listeners.bind("listen", Address("127.0.0.1", port))
    with server.background(App(config.load(None, {}, values)), public):
        yield Proxy("127.0.0.1", port, log)
