import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.gateway import server
from proxy.standin import StandIn

Reply = tuple[int, Any]


class Client:
    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    def __call__(self, method: str, path: str, body: Any = None, token: str | None = "t", kind: str = "json") -> Reply:
        connection = http.client.HTTPConnection(*self._address, timeout=20)
        headers = {"Content-Type": f"application/{kind}"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, json.loads(text) if response.headers["content-type"] == "application/json" else text


@pytest.fixture
def call() -> Iterator[Client]:
    listener = server.loopback()
    host, port = listener.getsockname()
    with server.background(StandIn(), listener):
        yield Client(host, port)


RUNS = "/repos/acme/shop/cicd/runs"
BUILD = {"workflows": [{"name": "build", "values": [{"name": "a", "value": "b"}]}], "head": {"branch": "main"}}


def test_a_run_is_started_and_comes_to_its_end(call: Client) -> None:
    status, run = call("POST", RUNS, BUILD)
    assert (status, run["status"], run["workflows"], run["slug"]) == (200, "created", [], "1")
    seen = [call("GET", f"{RUNS}/1")[1]["status"] for _ in range(4)]
    assert seen == ["prepared", "processing", "success", "success"]
    assert call("GET", f"{RUNS}/1/build")[1]["slug"] == "build"
    assert [run["slug"] for run in call("GET", RUNS)[1]["runs"]] == ["1"]


def test_a_repository_is_the_same_by_slug_and_by_id(call: Client) -> None:
    call("POST", "/repos/id:42/cicd/runs", BUILD)
    assert call("GET", f"{RUNS}/1")[0] == 200


def test_logs_and_artifacts_of_a_run_can_be_read(call: Client) -> None:
    call("POST", RUNS, BUILD)
    assert call("GET", "/repos/acme/shop/cicd/logs/1/build/task/cube")[1]["logs"][-1] == "done"
    assert "build/task/cube" in call("GET", "/repos/acme/shop/cicd/artifacts/1/build/task/cube")[1]


def test_a_workflow_that_does_not_exist_leaves_nothing_to_start(call: Client) -> None:
    run = call("POST", RUNS, {"workflows": [{"name": "nothing"}]})[1]
    assert (run["status"], run["workflows"]) == ("success", [])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/repos/acme/nowhere/cicd/runs", BUILD, 404, "NotFound"),
        ("GET", f"{RUNS}/99", None, 404, "NotFound"),
        ("GET", "/repos/acme/shop/elsewhere", None, 404, "NotFound"),
        ("POST", "/acme/shop/ci_workflows/build/trigger", {}, 410, "EndpointWithdrawn"),
        ("POST", "/repos/id:42/ci_workflows/build/trigger", {}, 410, "EndpointWithdrawn"),
        ("POST", RUNS, {"revision": "main"}, 400, "InvalidArgument"),
        ("POST", RUNS, {"head": {"branch": "a", "tag": "b"}}, 400, "InvalidArgument"),
        ("POST", RUNS, {"head": {}}, 400, "InvalidArgument"),
        ("POST", RUNS, {"workflows": [{"name": "w", "values": [{"name": "a", "value": 1}]}]}, 400, "InvalidArgument"),
    ],
)
def test_what_is_wrong_gets_an_error_in_the_schema(
    call: Client, method: str, path: str, body: Any, status: int, code: str
) -> None:
    got, error = call(method, path, body)
    assert (got, error["error_code"]) == (status, code)
    assert set(error) == {"error_code", "message", "request_id", "details"}


def test_a_call_needs_a_token(call: Client) -> None:
    assert call("GET", RUNS, token=None)[0] == 401


def test_a_body_of_another_content_type_is_refused(call: Client) -> None:
    assert call("POST", RUNS, BUILD, kind="x-www-form-urlencoded")[0] == 415


def test_it_can_be_served_alone_and_ends_with_a_signal() -> None:
    with server.loopback() as free:
        host, port = free.getsockname()
    command = [sys.executable, "-m", "proxy.standin", "--listen", f"{host}:{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert f"http://{host}:{port}" in process.stdout.readline()
        assert Client(host, port)("POST", RUNS, BUILD)[0] == 200
        process.terminate()
        assert process.wait(20) == 0
