from typing import Any

import pytest

from tests.standin.client import BUILD, RUNS, Client


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


def test_a_body_of_another_content_type_is_refused(call: Client) -> None:
    assert call("POST", RUNS, BUILD, kind="x-www-form-urlencoded")[0] == 415
