"""The golden corpus (golden_calls/README.md), call by call over real sockets."""

import contextlib
import gzip
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.support.proxy import TRIGGER, Proxy, proxy_for
from tests.support.upstream import RUN, Script, Upstream, closes, reply, resets, sends
from tests.support.upstream import stays_silent as silent
from tests.support.wire import Answer
from tests.system.worlds import IMPATIENT, full

GOLDEN = Path(__file__).parent / "golden_calls"
KEYS = {"why", "call", "forwarded", "upstream", "answer", "record"}
BODY = {"body", "hex", "repeat", "gzip"}

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FAULTS: dict[str, Script] = {
    "stays silent": silent,
    "stops in the body": sends(HEAD + b"Content-Length: 50\r\n\r\n{"),
    "closes": closes(),
    "resets": resets,
    "cuts the head": closes(HEAD[:-9]),
    "cuts the body": closes(HEAD + b"Content-Length: %d\r\n\r\n" % (len(RUN) + 1) + RUN),
    "cuts the chunks": closes(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(RUN), RUN)),
    "cuts the compression": reply(200, gzip.compress(RUN)[:-9], {"Content-Encoding": "gzip"}),
    "speaks no HTTP": closes(b"220 mail.example ESMTP\r\n"),
    "hints first": sends(
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        + HEAD
        + b"Content-Length: %d\r\n\r\n" % len(RUN)
        + RUN
    ),
    "sends trailers": sends(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(RUN), RUN)
    ),
}


def cases() -> Iterator[Any]:
    for file in sorted(GOLDEN.glob("*.yaml")):
        for name, case in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            yield pytest.param(case, id=f"{file.stem}: {name}")


@pytest.mark.parametrize("case", list(cases()))
def test_a_call_becomes_what_the_corpus_says(case: dict[str, Any], world: "World") -> None:
    left = dict(case)
    left.pop("why", None)
    call, upstream = dict(left.pop("call", {})), dict(left.pop("upstream", {}))
    path, headers = call.pop("path", TRIGGER), call.pop("headers", {})
    body = body_of(call) if call else b"{}"

    with world.ready(upstream) as proxy:
        seen = len(proxy.records()) if proxy.log.exists() else 0
        world.upstream.received.clear()
        answer = proxy.call(path, body, headers)
        records = proxy.records()[seen:]

    check_forwarded(left, world.upstream)
    check_answer(dict(left.pop("answer", {})), answer)
    expected = left.pop("record", {})
    assert len(records) == len(answer.all("deprecation")) == (expected is not None)
    if expected is not None:
        check_announced(answer)
        assert {key: records[0].get(key) for key in expected} == expected
    assert left == {}, "the corpus has a key that nothing reads"


def body_of(holder: dict[str, Any]) -> bytes:
    """The body that a mapping describes; it is taken out, and nothing else may be left."""
    (kind, value), *rest = holder.items()
    assert kind in BODY
    assert not rest
    if kind == "hex":
        return bytes.fromhex(value)
    if kind == "repeat":
        text, times = value
        return (str(text) * int(times)).encode()
    if kind == "gzip":
        return gzip.compress(body_of(value) if isinstance(value, dict) else str(value).encode())
    return str(value).encode()


def check_forwarded(case: dict[str, Any], upstream: Upstream) -> None:
    if "forwarded" not in case:
        assert len(upstream.received) <= 1
        return
    expected = case.pop("forwarded")
    if expected is None:
        assert upstream.received == []
        return
    [request] = upstream.received
    assert request.method == "POST"
    assert request.all("content-type") == ["application/json"]
    assert request.all("authorization") == ["Bearer secret-token"]
    assert request.target == expected.get("path", request.target)
    for text in expected.get("verbatim", []):
        assert text.encode() in request.body
    if "body" in expected:
        assert json.loads(request.body) == expected["body"]
    if "text" in expected:
        assert request.body == expected["text"].encode()
    assert set(expected) <= {"path", "body", "text", "verbatim"}


def check_answer(expected: dict[str, Any], answer: Answer) -> None:
    assert answer.status == expected.pop("status", answer.status)
    assert answer.all("content-type") == ["application/json"]
    for name, value in expected.pop("headers", {}).items():
        assert answer.header(name) == value
    if "error" in expected:
        check_error(expected.pop("error"), answer)
    elif "text" in expected:
        assert answer.body.decode() == expected.pop("text")
    elif "body" in expected:
        assert answer.json() == expected.pop("body")
    assert expected == {}, "the corpus has a key that nothing reads"


def check_announced(answer: Answer) -> None:
    assert answer.all("deprecation") == ["@1764547200"]
    assert "deprecation" in (answer.header("link") or "")
    assert len(answer.all("x-request-id")) == 1


def check_error(expected: dict[str, Any], answer: Answer) -> None:
    error = answer.json()
    assert set(error) == {"error_code", "message", "request_id", "details"}
    assert error["request_id"] == answer.header("x-request-id")
    assert (answer.header("proxy-status") or "").startswith("trigger-shim; ")
    found = {**error, **error["details"]}
    assert {key: found.get(key) for key in expected} == expected
    promise = {"no": "No run was started", "unknown": "A run may have been started", "yes": "A run was started"}
    assert promise[error["details"]["run_started"]] in error["message"]


class World:
    """One upstream and the proxies in front of it: starting one for each of so many cases would take minutes."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.upstream = stack.enter_context(Upstream().running())
        self._folder = folder
        self._stack = stack
        self._proxies: dict[str, Proxy] = {}
        self._addresses: dict[str, Callable[[], contextlib.AbstractContextManager[str]]] = {
            "refuses": self._refuses,
            "has no name": lambda: contextlib.nullcontext("http://nowhere.invalid"),
            "speaks no TLS": lambda: contextlib.nullcontext(self.upstream.url.replace("http:", "https:")),
            "closes at once": self._closes_at_once,
            "has a bad certificate": self._bad_certificate,
            "does not accept": self._does_not_accept,
        }

    @contextlib.contextmanager
    def ready(self, upstream: dict[str, Any]) -> Iterator[Proxy]:
        """A proxy in front of an upstream that is about to do what a case says."""
        fault = upstream.pop("fault", None)
        if fault in self._addresses:
            with self._addresses[fault]() as url:
                yield self._proxy(fault, url, connect_timeout=1 if fault == "does not accept" else 10)
        elif fault is not None:
            self.upstream.script = FAULTS[fault]
            waits = fault in {"stays silent", "stops in the body"}
            yield self._proxy(f"timeout {waits}", self.upstream.url, **IMPATIENT if waits else {})
        else:
            status, headers = upstream.pop("status", 200), upstream.pop("headers", {})
            bare = upstream.pop("bare", False)
            body = body_of(upstream) if upstream else RUN
            self.upstream.script = sends(b"HTTP/1.1 204 X\r\n\r\n") if bare else reply(status, body, headers)
            yield self._proxy("timeout False", self.upstream.url)

    def _proxy(self, name: str, url: str, **settings: Any) -> Proxy:
        if name not in self._proxies:
            folder = self._folder / name
            folder.mkdir()
            self._proxies[name] = self._stack.enter_context(proxy_for(url, folder, upstream=settings))
        return self._proxies[name]

    @contextlib.contextmanager
    def _refuses(self) -> Iterator[str]:
        # Bound and not listening: nobody else can get the port meanwhile.
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            yield "http://{}:{}".format(*bound.getsockname())

    @contextlib.contextmanager
    def _does_not_accept(self) -> Iterator[str]:
        with full() as listener:
            yield "http://{}:{}".format(*listener.getsockname())

    @contextlib.contextmanager
    def _closes_at_once(self) -> Iterator[str]:
        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=accept, daemon=True).start()
            yield "https://{}:{}".format(*listener.getsockname())
            listener.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def _bad_certificate(self) -> Iterator[str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        with Upstream(tls=context).running() as upstream:
            yield upstream.url.replace("http:", "https:")
            assert upstream.received == []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        yield World(tmp_path_factory.mktemp("golden"), stack)
