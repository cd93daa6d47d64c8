"""What the owner of a caller gets to know, and that the new calls in it work."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.callers.record import CallRecord, bounded
from proxy.callers.render.formats import profile_to_json
from proxy.callers.render.profile import CHANGES
from proxy.callers.render.profile_text import profile_to_text
from proxy.gateway.server import listeners, server
from proxy.standin.app import StandIn
from tests.callers.lines import DAY, NOW, call
from tests.callers.render.profiles import profiled
from tests.support.programs import program


def test_each_kind_of_call_has_a_required_change_the_most_frequent_first(tmp_path: Path) -> None:
    runs = "/acme/shop/cicd/runs"
    found = profiled(
        tmp_path,
        call(NOW - 2 * DAY, path="/acme/shop/ci_workflows/build/trigger", inputs=["env"]),
        call(NOW - DAY, path="/acme/shop/ci_workflows/build/trigger", inputs=["region", "env"]),
        call(endpoint="get_run", method="GET", path=f"{runs}/6", workflow=None),
        call(NOW, endpoint="get_run", method="GET", path=f"{runs}/7", workflow=None),
        call(NOW - DAY, endpoint="get_run", method="GET", path=f"{runs}/5", workflow=None),
        call(status=400, outcome="rejected", path="/acme/%2E%2E/ci_workflows/x/trigger", repo="%2E%2E", workflow="x"),
    )

    got, triggered, wrong = found.changes
    assert (got.endpoint, got.legacy, got.calls) == ("get_run", f"GET {runs}/7", 3)
    assert (triggered.endpoint, triggered.calls) == ("trigger", 2)
    assert "curl -X GET https://api.sourcecraft.tech/repos/acme/shop/cicd/runs/7 " in (got.request or "")
    assert '"values":[{"name":"env","value":"VALUE"},{"name":"region","value":"VALUE"}]' in (triggered.request or "")
    assert wrong.request is None
    assert wrong.notes == ["The segment {repo} of the path is not a slug; check the URL."]


def test_the_number_of_changes_is_bounded(tmp_path: Path) -> None:
    found = profiled(tmp_path, *(call(workflow=f"w{number}") for number in range(CHANGES + 2)))

    assert (len(found.changes), found.more_changes) == (CHANGES, 2)


HOSTILE = ["$(touch owned)", "`touch owned`", "'; touch owned; '", '"; touch owned; "', "$HOME", "\\", "\n touch owned"]


def pasted(commands: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Commands as the owner of the tool pastes them into a shell."""
    environment = {"PATH": "/usr/bin:/bin", "SOURCECRAFT_TOKEN": "t0ken"}
    shell = ["sh", "-c", commands]
    return subprocess.run(shell, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("path", "inputs"),
    [
        ("/acme/shop/ci_workflows/build/trigger", []),
        ("/acme/shop/ci_workflows/build/trigger", ["env", "region"]),
        ("/repos/id:42/ci_workflows/release%2Fprod/trigger", ["a b"]),
        ("/acme/shop/ci_workflows/$(touch%20owned)%60touch%20owned%60'%22$HOME/trigger", HOSTILE),
        ("/acme/shop/ci_workflows/%D1%81%D0%B1%D0%BE%D1%80%D0%BA%D0%B0/trigger", ["\u202eenv", "\x9b31m"]),
    ],
)
def test_the_new_call_works_as_printed_and_runs_nothing_else(tmp_path: Path, path: str, inputs: list[str]) -> None:
    program("curl")
    standin, upstream = StandIn(), listeners.loopback()
    host, port = upstream.getsockname()
    ids: dict[str, Any] = {"repo_id": "42", "org": None, "repo": None} if "id:" in path else {}
    found = profiled(tmp_path, call(path=path, inputs=inputs, **ids), base=f"http://{host}:{port}")
    shown = profile_to_text(found, NOW).partition("becomes\n\n")[2].partition("\n\n")[0]

    with server.background(standin, upstream):
        ran = pasted(shown, tmp_path)

    assert '"slug":"1"' in ran.stdout, ran.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["callers.jsonl"]
    [request] = standin.received
    assert request.header("authorization") == "Bearer t0ken"
    [workflow] = msgspec.json.decode(request.body)["workflows"]
    assert [value["name"] for value in workflow.get("values", [])] == inputs


RUNS: dict[str, Any] = {"endpoint": "run_workflows", "method": "POST", "path": "/acme/shop/cicd/runs", "workflow": None}
REPOSITORY: dict[str, Any] = {
    "endpoint": "update_repository",
    "method": "PATCH",
    "path": "/acme/shop",
    "workflow": None,
}


@pytest.mark.parametrize(
    ("fields", "body", "seen"),
    [(RUNS, {"workflows": [{"name": "x"}]}, '"slug":"1"'), (REPOSITORY, {}, '"slug":"shop"')],
)
def test_a_new_call_whose_body_is_unchanged_reads_it_from_a_file(
    tmp_path: Path, fields: dict[str, Any], body: Any, seen: str
) -> None:
    program("curl")
    standin, upstream = StandIn(), listeners.loopback()
    found = profiled(tmp_path, call(**fields), base="http://{}:{}".format(*upstream.getsockname()))
    shown = profile_to_text(found, NOW).partition("becomes\n\n")[2].partition("\n\n")[0]
    (tmp_path / "BODY.json").write_bytes(msgspec.json.encode(body))

    with server.background(standin, upstream):
        ran = pasted(shown, tmp_path)

    assert seen in ran.stdout, ran.stderr
    assert "# BODY.json is the body that the tool sends today; it does not change" in shown
    assert standin.received[0].header("content-type") == "application/json"


def test_a_call_without_a_body_stays_without_one(tmp_path: Path) -> None:
    found = profiled(tmp_path, call(**{**REPOSITORY, "endpoint": "delete_repository", "method": "DELETE"}))

    [change] = found.changes
    assert (change.notes, " -d " in (change.request or "")) == ([], False)


def test_the_body_of_a_trigger_sent_to_another_endpoint_is_explained(
    tmp_path: Path,
) -> None:
    fields = ["revision", "workflow_revision", "workflow_slug"]
    found = profiled(
        tmp_path,
        call(NOW - 2 * DAY, **RUNS, ignored_fields=[*fields, "x"]),
        *(call(NOW - DAY, **RUNS, ignored_fields=fields, hint="trigger_body") for _ in range(2)),
    )
    told = profile_to_text(found, NOW)

    assert found.warnings() == [
        "It sends the body of a trigger to POST /{org}/{repo}/cicd/runs, which ignores revision (2),"
        " workflow_revision (2), workflow_slug (2), so they never reached a run. The response has no flux_id.",
        "It sends revision (1), workflow_revision (1), workflow_slug (1), x (1), which the withdrawn endpoint has"
        " always ignored, so they never reached a run.",
    ]
    [change] = found.changes
    assert change.hint == "trigger_body"
    assert (change.request or "").endswith("""-d '{"workflows":[{"name":"WORKFLOW"}],"head":{"branch":"BRANCH"}}'""")
    assert (
        "    # it sends the body of the withdrawn trigger, which this endpoint ignores: revision is now head," in told
    )
    assert "only the path changes" not in told
    assert '"hint": "trigger_body"' in profile_to_json(found)


@pytest.mark.parametrize("hint", [None, "something new"])
def test_without_a_known_hint_the_body_is_unchanged(tmp_path: Path, hint: Any) -> None:
    [change] = profiled(tmp_path, call(**RUNS, hint=hint)).changes

    assert (change.request or "").endswith("-d @BODY.json")


def test_the_new_call_is_not_made_up_from_a_path_that_was_cut(tmp_path: Path) -> None:
    record = bounded(call(path=f"/acme/shop/ci_workflows/{'x' * 600}/trigger"))
    assert isinstance(record, CallRecord)
    [change] = profiled(tmp_path, record).changes

    assert (change.request, change.notes) == (
        None,
        ["The path is too long for the caller log, so the new call is not shown."],
    )
