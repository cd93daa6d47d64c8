import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from proxy.gateway.server import server
from proxy.standin.app import StandIn
from proxy.standin.repositories import artifact
from tests.support.processes import running
from tests.support.sockets import free_port

Reply = tuple[int, Any]


class Client:
    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = "t",
        kind: str = "json",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        connection = http.client.HTTPConnection(*self._address, timeout=20)
        headers = {"Content-Type": f"application/{kind}", **(headers or {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        is_json = response.headers["content-type"] == "application/json"
        return response.status, json.loads(content) if is_json else content


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
    assert call("GET", f"{RUNS}/1")[0] == call("GET", "/repos/id%3A42/cicd/runs/1")[0] == 200


def end(call: Client, run: str) -> None:
    while call("GET", f"{RUNS}/{run}")[1]["status"] != "success":
        pass


def test_a_workflow_names_its_tasks_and_cubes(call: Client) -> None:
    call("POST", RUNS, {"workflows": [{"name": "release/prod"}]})
    status, workflow = call("GET", f"{RUNS}/1/release%2Fprod")
    assert (status, workflow["slug"]) == (200, "release/prod")
    assert [(task["slug"], [cube["slug"] for cube in task["cubes"]]) for task in workflow["tasks"]] == [
        ("compile", ["main"])
    ]
    assert call("GET", f"{RUNS}/1/release/prod")[0] == 404


def test_logs_come_in_pages_of_which_the_last_one_is_done(call: Client) -> None:
    logs = "/repos/acme/shop/cicd/logs/1/build/compile/main"
    call("POST", RUNS, BUILD)
    _, first = call("GET", logs)
    assert (first["page_complete"], first["done"]) == (False, False)
    assert call("GET", f"{logs}?page=2")[0] == 404
    end(call, "1")
    pages = [call("GET", f"{logs}?page={page}")[1] for page in (1, 2)]
    assert [(page["page_complete"], page["done"]) for page in pages] == [(True, False), (True, True)]
    assert pages[1]["logs"] == "run 1, page 2: success\n"
    assert call("GET", f"{logs}?page=3")[0] == 404


def test_the_artifacts_of_a_run_that_has_ended_can_be_downloaded_from_where_the_caller_called(call: Client) -> None:
    artifacts = "/repos/acme/shop/cicd/artifacts/1/build/compile/main"
    call("POST", RUNS, BUILD)
    assert call("GET", artifacts)[1] == {"artifacts": []}
    end(call, "1")
    [found] = call("GET", artifacts, headers={"X-Forwarded-Host": "proxy.example", "X-Forwarded-Proto": "https"})[1][
        "artifacts"
    ]
    base, path = found["download_url"].split("/downloads", 1)
    assert base == "https://proxy.example"
    status, content = call("GET", f"/downloads{path}", token=None)
    assert (status, content) == (200, artifact("1"))


def test_runs_are_listed_in_pages_newest_first(call: Client) -> None:
    for _ in range(5):
        call("POST", RUNS, BUILD)
    listed, token = [], ""
    for size in (2, 2, 1):
        _, page = call("GET", f"{RUNS}?page_size=2&page_token={quote(token)}")
        assert len(page["runs"]) == size
        listed += [run["slug"] for run in page["runs"]]
        token = page["next_page_token"]
    assert listed == ["5", "4", "3", "2", "1"]
    assert token == ""


def test_a_page_token_must_come_back_as_it_was_given(call: Client) -> None:
    for _ in range(2):
        call("POST", RUNS, BUILD)
    token = call("GET", f"{RUNS}?page_size=1")[1]["next_page_token"]
    assert token != quote(token)
    assert call("GET", f"{RUNS}?page_size=1&page_token={quote(token)}")[0] == 200
    assert call("GET", f"{RUNS}?page_size=1&page_token={token}")[0] == 400


def test_a_repository_can_be_described_and_deleted(call: Client) -> None:
    repository = {"id": "42", "slug": "shop", "description": "toys"}
    assert call("PATCH", "/repos/acme/shop?silent=true", {"description": "toys"}) == (200, repository)
    assert call("PATCH", "/repos/id:42", {}) == (200, repository)
    assert call("DELETE", "/repos/acme/shop?silent=true") == (204, b"")
    assert call("DELETE", "/repos/acme/shop")[0] == 404
    assert call("GET", RUNS)[0] == 404


def test_a_workflow_that_does_not_exist_leaves_nothing_to_start(call: Client) -> None:
    run = call("POST", RUNS, {"workflows": [{"name": "nothing"}]})[1]
    assert (run["status"], run["workflows"]) == ("success", [])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/repos/acme/nowhere/cicd/runs", BUILD, 404, "NotFound"),
        ("GET", f"{RUNS}/99", None, 404, "NotFound"),
        ("GET", f"{RUNS}/99/build", None, 404, "NotFound"),
        ("GET", f"{RUNS}?page_size=many", None, 400, "InvalidArgument"),
        ("GET", f"{RUNS}?page_token=2", None, 400, "InvalidArgument"),
        ("PATCH", "/repos/acme/shop?silent=perhaps", {}, 400, "InvalidArgument"),
        ("PATCH", "/repos/acme/shop", {"colour": "red"}, 400, "InvalidArgument"),
        ("DELETE", "/repos/acme/nowhere", None, 404, "NotFound"),
        ("DELETE", "/acme/shop", None, 410, "EndpointWithdrawn"),
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
    assert set(error) - {"details"} == {"error_code", "message", "request_id"}
    assert ("details" in error) == (code == "InvalidArgument")


def test_a_call_needs_a_token(call: Client) -> None:
    assert call("GET", RUNS, token=None)[0] == 401


def test_a_body_of_another_content_type_is_refused(call: Client) -> None:
    assert call("POST", RUNS, BUILD, kind="x-www-form-urlencoded")[0] == 415


def test_it_can_be_served_alone_and_ends_with_a_signal() -> None:
    host, port = "127.0.0.1", free_port()
    command = [sys.executable, "-m", "proxy.standin", "--listen", f"{host}:{port}"]
    with running(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        assert f"http://{host}:{port}" in process.stdout.readline()
        assert Client(host, port)("POST", RUNS, BUILD)[0] == 200
        process.terminate()
        assert process.wait(60) == 0
