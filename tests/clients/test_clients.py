"""Legacy tools, each a script that knows one base URL, with the clients that are really out there."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from proxy.gateway.server import server
from proxy.standin.app import StandIn
from tests.contract.world import world
from tests.support.programs import program
from tests.support.proxy import proxy_for

FOLDER = Path(__file__).parent
SECTION = {"list_runs", "trigger", "trigger_by_id", "get_run", "get_workflow", "get_logs", "get_artifacts"}


class Tool(NamedTuple):
    """A script, the command that runs it, and the program that it needs besides Python."""

    script: str
    command: tuple[str, ...]
    user_agent: str
    needs: str | None = None


# It runs for a second, which is too short for the compiler that makes faster code.
JAVA = Tool("Legacy.java", ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"), "Java-http-client/", "java")
NODE = Tool("legacy.mjs", ("node",), "node", "node")
CURL = Tool("legacy.sh", ("sh",), "curl/", "curl")
REQUESTS = Tool("legacy_requests.py", (sys.executable,), "python-requests/")
RETRY = Tool("legacy_retry.py", (sys.executable,), "Go-http-client/1.1")


def started(tool: Tool, base: str) -> "subprocess.Popen[str]":
    if tool.needs is not None:
        program(tool.needs)
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.Popen(
        [*tool.command, str(FOLDER / tool.script), base],
        env={**environment, "SOURCECRAFT_TOKEN": "t"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> int:
    """How many runs the tool says it has started."""
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    word, number = out.splitlines()[-1].split()
    assert word == "OK"
    return int(number)


@pytest.mark.parametrize("tool", [JAVA, NODE, CURL, REQUESTS], ids=lambda tool: tool.script)
def test_a_legacy_tool_works_with_only_its_base_url_changed(tool: Tool, tmp_path: Path) -> None:
    with world(tmp_path) as here:
        runs = finished(started(tool, here.url))
    records = here.proxy.records()
    check(tool, records, here.standin, runs)


def check(tool: Tool, records: list[dict[str, Any]], standin: StandIn, runs: int) -> None:
    """The tool has made every call of the section, and each of its runs was started once."""
    assert len(standin.runs) == runs
    triggers = [record for record in records if record["endpoint"].startswith("trigger")]
    assert {record["trigger_status"] for record in triggers} == {"created"}
    assert {record["run"] for record in triggers} == {run.slug for run in standin.runs[: len(triggers)]}
    # The last run was started by its current path, of which there is no record.
    assert len(triggers) == runs - 1
    assert {record["endpoint"] for record in records} == SECTION
    assert {(record["outcome"], record["status"]) for record in records} == {("forwarded", 200)}
    assert all(record["user_agent"].startswith(tool.user_agent) for record in records)


def test_the_same_tool_fails_at_the_service_itself(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        process = started(CURL, here.successor)
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "410" in errors
    assert here.standin.runs == []


def test_a_tool_that_calls_until_the_service_is_reached_starts_no_run_twice(tmp_path: Path) -> None:
    standin = StandIn()
    # The service ends after the proxy, or it would wait for the connections that the proxy keeps.
    with socket.socket() as address, contextlib.ExitStack() as service:
        address.bind(("127.0.0.1", 0))  # taken, and nobody listens yet
        with proxy_for("http://{}:{}".format(*address.getsockname()), tmp_path) as proxy:
            process = started(RETRY, f"http://{proxy.host}:{proxy.port}")
            assert process.stderr is not None
            assert "502, again" in process.stderr.readline()
            address.listen()
            service.enter_context(server.background(standin, address))
            runs = finished(process)
    records = proxy.records()
    unreachable = [record for record in records if record["outcome"] == "unreachable"]
    assert records[: len(unreachable)] == unreachable != []
    assert {record["endpoint"] for record in unreachable} == {"trigger"}
    check(RETRY, records[len(unreachable) :], standin, runs)
