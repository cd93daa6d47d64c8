"""Sends four calls through the proxy to a stand-in successor, both on free loopback ports."""

import argparse
import http.client
import json
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.commands.status import ExitStatus
from proxy.config import Callers, Config, Upstream
from proxy.standin.calls import Received

if TYPE_CHECKING:
    from proxy.standin.app import StandIn

SUMMARY = "send four calls through the proxy, and show the results"
EPILOG = """\
example:
  trigger-shim demo"""

PUBLISHED_BODY = {
    "revision": "example",
    "workflow_revision": "example",
    "input": {"values": [{"name": "example", "value": "example"}]},
}
"""The example on the documentation page of the withdrawn endpoint."""

_SUCCESSOR_BODY = {
    "workflows": [{"name": "build", "values": [{"name": "example", "value": "example"}]}],
    "head": {"branch": "example"},
    "config_revision": {"branch": "example"},
}


class Step(NamedTuple):
    """One call, and the expected result.

    Attributes:
        successor: path and body of the request to the successor; None if nothing may be forwarded.
        answer: fields of the answer.
        outcome: in the caller record.
    """

    title: str
    path: str
    body: Any
    successor: tuple[str, Any] | None
    status: int
    answer: dict[str, Any]
    outcome: str


_STARTED = {"trigger_status": "created"}

STEPS = (
    Step(
        "the documented call, by slug",
        "/acme/shop/ci_workflows/build/trigger",
        PUBLISHED_BODY,
        ("/repos/acme/shop/cicd/runs", _SUCCESSOR_BODY),
        200,
        {"flux_id": "1", "flux_public_id": "1", **_STARTED},
        "forwarded",
    ),
    Step(
        "the same call, by repository ID",
        "/repos/id:42/ci_workflows/build/trigger",
        PUBLISHED_BODY,
        ("/repos/id:42/cicd/runs", _SUCCESSOR_BODY),
        200,
        {"flux_id": "2", "flux_public_id": "2", **_STARTED},
        "forwarded",
    ),
    Step(
        "a bad call: the values are not a list",
        "/acme/shop/ci_workflows/build/trigger",
        {"input": {"values": "example"}},
        None,
        400,
        {"error_code": "InvalidBody"},
        "rejected",
    ),
    Step(
        "a call for a repository that does not exist",
        "/acme/nowhere/ci_workflows/build/trigger",
        {},
        ("/repos/acme/nowhere/cicd/runs", {"workflows": [{"name": "build"}]}),
        404,
        {"error_code": "NotFound"},
        "upstream_error",
    ),
)


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    pass


def run(_options: argparse.Namespace) -> ExitStatus:
    # Imported here so that `trigger-shim --help` does not import a server.
    from proxy.gateway.app import App  # noqa: PLC0415
    from proxy.gateway.server import listeners, server  # noqa: PLC0415
    from proxy.standin.app import StandIn  # noqa: PLC0415

    standin, upstream, public = StandIn(), listeners.loopback(), listeners.loopback()
    with tempfile.TemporaryDirectory(prefix="trigger-shim-demo-") as folder:
        log = Path(folder, "callers.jsonl")
        config = Config(upstream=Upstream(url=f"http://{_address(upstream)}"), callers=Callers(log=str(log)))
        with server.background(standin, upstream), server.background(App(config), public):
            print(f"trigger-shim on http://{_address(public)}, stand-in successor on http://{_address(upstream)}\n")
            results = [_run_step(number, step, public, standin, log) for number, step in enumerate(STEPS, 1)]
    print(f"{sum(results)} of {len(results)} calls gave the expected result")
    return ExitStatus.OK if all(results) else ExitStatus.FAILED


def _run_step(number: int, step: Step, public: socket.socket, standin: "StandIn", log: Path) -> bool:
    before = len(standin.received)
    status, answer = _send(public, step)
    forwarded = standin.received[before:]
    records = [line for line in log.read_text(encoding="utf-8").splitlines() if '"deprecated_call"' in line]
    problems = _problems(step, forwarded, (status, answer), [json.loads(line) for line in records[number - 1 :]])

    print(f"{number}. {step.title}")
    _print_field("legacy request", f"POST {step.path}", json.dumps(step.body))
    for request in forwarded:
        _print_field("successor request", f"{request.method} {request.path}", request.body.decode())
    if not forwarded:
        _print_field("successor request", "none")
    _print_field("run" if status == 200 else "successor answer", *standin.answers[before:] or ["none"])
    _print_field("legacy answer", f"{status} {answer}")
    _print_field("caller record", *records[number - 1 : number])
    print("".join(f"   WRONG: {problem}\n" for problem in problems) or "   as expected\n")
    return not problems


def _send(public: socket.socket, step: Step) -> tuple[int, str]:
    host, port = public.getsockname()
    connection = http.client.HTTPConnection(host, port, timeout=10)
    headers = {"authorization": "Bearer demo-token", "user-agent": "legacy-ci/1.0"}
    connection.request("POST", step.path, json.dumps(step.body), headers)
    response = connection.getresponse()
    try:
        return response.status, response.read().decode()
    finally:
        connection.close()


def _problems(step: Step, forwarded: list[Received], answer: tuple[int, str], records: list[Any]) -> list[str]:
    problems = []
    expected = [step.successor] if step.successor is not None else []
    if [(request.path, json.loads(request.body)) for request in forwarded] != expected:
        problems.append(f"expected the successor to get {expected}")
    status, got = answer[0], json.loads(answer[1])
    if status != step.status or any(got.get(key) != value for key, value in step.answer.items()):
        problems.append(f"expected the answer {step.status} with {step.answer}")
    if status == 200 and set(got) != {"flux_id", "flux_public_id", "trigger_status"}:
        problems.append("expected the three legacy fields in the answer, and no others")
    if [record["outcome"] for record in records] != [step.outcome]:
        problems.append(f"expected one more record, with the outcome {step.outcome}")
    return problems


def _print_field(label: str, *lines: str) -> None:
    for index, line in enumerate(lines):
        print(f"   {label if index == 0 else '':<18} {line}")


def _address(bound: socket.socket) -> str:
    return "{}:{}".format(*bound.getsockname())
