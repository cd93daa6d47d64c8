"""What the owner of a caller gets to know, and that the new calls in it work."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.callers.card import CHANGES, Card, card
from proxy.callers.detail import LAST_CALLS, OTHERS
from proxy.callers.record import Record
from proxy.callers.render import card_to_json
from proxy.callers.survey import survey
from proxy.callers.text import card_to_markdown, card_to_text
from proxy.gateway import server
from proxy.standin.app import StandIn
from tests.callers.lines import DAY, NOW, beats, call, log
from tests.deploy.tools import program

BASE = "https://api.sourcecraft.tech"


def made(tmp_path: Path, *records: Record, base: str = BASE) -> Card:
    file = tmp_path / "callers.jsonl"
    file.write_bytes(log(*records))
    surveyed = survey([str(file)], [], NOW, is_wanted="nightly".__eq__)
    assert surveyed.details.keys() == {"nightly"}
    [row] = [row for row in surveyed.report.callers if row.name == "nightly"]
    return card(row, surveyed.details["nightly"], base)


def test_only_the_caller_that_was_asked_for_is_told_of(tmp_path: Path) -> None:
    found = made(tmp_path, call(client_ip="10.1.2.3"), call(caller="other", client_ip="10.9.9.9"))

    assert found.detail.addresses == {"10.1.2.3": 1}


def test_a_card_says_from_where_with_what_and_what_went_wrong(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        call(client_ip="10.1.2.3", token="0123456789ab"),
        call(client_ip="10.1.2.3", status=404, outcome="upstream_error", error_code="NotFound"),
        call(client_ip="10.1.2.4", status=410, outcome="gone", ignored_fields=["inputs", "input.value"]),
        call(ignored_fields=["inputs"]),
    ).detail

    assert found.addresses == {"10.1.2.3": 2, "10.1.2.4": 1}
    assert found.tokens == {"0123456789ab": 1}
    assert found.errors == {"404 NotFound": 1, "410 gone": 1}
    assert found.ignored_fields == {"inputs": 2, "input.value": 1}


def test_the_last_calls_are_the_last_in_time_and_not_in_the_log(tmp_path: Path) -> None:
    order = [3, 14, 7, 1, 12, 9, 2, 13, 5, 11, 6, 8, 4, 10, 15]
    found = made(tmp_path, *(call(NOW - days * DAY, request_id=f"r-{days}", run=str(days)) for days in order))

    assert [last.request_id for last in found.last_calls] == [f"r-{days}" for days in range(1, LAST_CALLS + 1)]
    assert found.last_calls[0].run == "1"


def test_values_that_a_caller_invents_are_counted_up_to_a_bound(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        *(
            call(client_ip=f"10.1.{n // 256}.{n % 256}", ignored_fields=[f"f{n}"], workflow=f"w{n}")
            for n in range(1200)
        ),
    )

    assert len(found.detail.addresses) == len(found.detail.ignored_fields) == 1001
    assert found.detail.addresses[OTHERS] == 200
    assert (len(found.changes), found.more_changes) == (CHANGES, 1000 - CHANGES)


def test_there_is_a_change_for_each_thing_called_the_most_frequent_first(tmp_path: Path) -> None:
    runs = "/acme/shop/cicd/runs"
    found = made(
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
def test_the_new_call_works_as_it_stands_and_runs_nothing_else(tmp_path: Path, path: str, inputs: list[str]) -> None:
    program("curl")
    standin, upstream = StandIn(), server.loopback()
    host, port = upstream.getsockname()
    ids: dict[str, Any] = {"repo_id": "42", "org": None, "repo": None} if "id:" in path else {}
    found = made(tmp_path, call(path=path, inputs=inputs, **ids), base=f"http://{host}:{port}")
    shown = card_to_text(found, NOW).partition("becomes\n\n")[2].partition("\n\n")[0]

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
def test_a_new_call_whose_body_stays_takes_that_from_a_file(
    tmp_path: Path, fields: dict[str, Any], body: Any, seen: str
) -> None:
    program("curl")
    standin, upstream = StandIn(), server.loopback()
    found = made(tmp_path, call(**fields), base="http://{}:{}".format(*upstream.getsockname()))
    shown = card_to_text(found, NOW).partition("becomes\n\n")[2].partition("\n\n")[0]
    (tmp_path / "BODY.json").write_bytes(msgspec.json.encode(body))

    with server.background(standin, upstream):
        ran = pasted(shown, tmp_path)

    assert seen in ran.stdout, ran.stderr
    assert "# BODY.json holds the body that it sends today, which stays as it is" in shown
    assert standin.received[0].header("content-type") == "application/json"


def test_a_call_without_a_body_gets_none(tmp_path: Path) -> None:
    found = made(tmp_path, call(**{**REPOSITORY, "endpoint": "delete_repository", "method": "DELETE"}))

    [change] = found.changes
    assert (change.notes, " -d " in (change.request or "")) == ([], False)


def test_a_body_of_the_trigger_that_was_sent_to_another_endpoint_is_told_with_the_one_that_is_meant(
    tmp_path: Path,
) -> None:
    fields = ["revision", "workflow_revision", "workflow_slug"]
    found = made(
        tmp_path,
        call(NOW - 2 * DAY, **RUNS, ignored_fields=[*fields, "x"]),
        *(call(NOW - DAY, **RUNS, ignored_fields=fields, hint="trigger_body") for _ in range(2)),
    )
    told = card_to_text(found, NOW)

    assert found.warnings == [
        "It sends the body of the trigger to POST /{org}/{repo}/cicd/runs, which ignores revision (2),"
        " workflow_revision (2), workflow_slug (2): they never reached a run, and the answer has no flux_id.",
        "It sends revision (1), workflow_revision (1), workflow_slug (1), x (1), which the withdrawn endpoint has"
        " always ignored: they never reached a run.",
    ]
    [change] = found.changes
    assert change.hint == "trigger_body"
    assert (change.request or "").endswith("""-d '{"workflows":[{"name":"WORKFLOW"}],"head":{"branch":"BRANCH"}}'""")
    assert (
        "    # it sends the body of the withdrawn trigger, which this endpoint ignores: revision has become head,"
        in told
    )
    assert "the path alone changes" not in told
    assert '"hint": "trigger_body"' in card_to_json(found)


@pytest.mark.parametrize("hint", [None, "something new"])
def test_another_hint_is_no_reason_to_change_a_body(tmp_path: Path, hint: Any) -> None:
    [change] = made(tmp_path, call(**RUNS, hint=hint)).changes

    assert (change.request or "").endswith("-d @BODY.json")


def test_the_text_says_everything(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        *beats(NOW - 10 * DAY),
        *(call(NOW - days * DAY, owner="team-a", run_user="alice", ignored_fields=["inputs"]) for days in range(1, 6)),
        call(NOW - 2 * DAY, status=404, outcome="upstream_error", error_code="NotFound", run="9"),
    )
    told = card_to_text(found, NOW)

    for line in (
        "nightly, as of 2026-11-24 00:00 UTC",
        "  owner         team-a",
        "  user          alice",
        "  state         active: last call 2026-11-23 00:00, usually every 1d; retired on 2026-12-07 00:00 if it never "
        "calls again",
        "  calls         6 from 2026-11-19 00:00 to 2026-11-23 00:00, 16.7% errors",
        "  errors        404 NotFound (1)",
        "  ! It sends inputs (5), which the withdrawn endpoint has always ignored: they never reached a run. If they "
        "are meant, they belong in values.",
        "  POST /acme/shop/ci_workflows/build/trigger  (trigger, 6 calls) becomes",
        "  2026-11-22 00:00:00  404 upstream_error NotFound run 9  POST /acme/shop/ci_workflows/build/trigger",
    ):
        assert line in told.splitlines(), told


@pytest.mark.parametrize("render", [card_to_text, card_to_markdown])
def test_what_a_caller_wrote_stays_text(tmp_path: Path, render: Any) -> None:
    hostile = "\x1b[2J```\n# heading\n\u202e|<b>"
    fields: dict[str, Any] = dict.fromkeys(
        ["user_agent", "workflow", "owner", "run_user", "error_code", "run", "request_id"], hostile
    )
    told = render(made(tmp_path, call(status=404, inputs=[hostile], ignored_fields=[hostile], **fields)), NOW)

    assert all(line.isprintable() for line in told.splitlines())
    assert "\n# heading" not in told
    if render is card_to_markdown:
        fences = [line for line in told.splitlines() if line.startswith("```")]
        assert fences == ["```sh", "```", "```", "```"]
