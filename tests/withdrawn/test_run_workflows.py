import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.withdrawn import run_workflows, trigger
from tests.withdrawn.samples import bodies

BUILD = {"name": "build", "values": [{"name": "env", "value": "hunter2"}, {"value": "x"}, {"name": "region"}]}


@pytest.mark.parametrize(
    ("body", "inputs", "ignored", "hint"),
    [
        ({}, [], [], None),
        ({"head": {"branch": "main"}, "config_revision": None, "shared": True}, [], [], None),
        ({"configRevision": {"branch": "main"}}, [], [], None),
        ({"workflows": [BUILD, {"name": "b"}, {"values": [{"name": "c"}]}]}, ["env", "region", "c"], [], None),
        ({"workflows": [BUILD], "revision": "main"}, ["env", "region"], ["revision"], None),
        ({"workflows": [], "revision": "main"}, [], ["revision"], "trigger_body"),
        ({"workflows": None, "workflowRevision": "main"}, [], ["workflowRevision"], "trigger_body"),
        (
            {"revision": "main", "workflow_revision": "main", "workflow_slug": "build"},
            [],
            ["revision", "workflow_revision", "workflow_slug"],
            "trigger_body",
        ),
        ({"input": {"values": [{"name": "a", "value": "b"}]}}, [], ["input"], "trigger_body"),
        ({"inputs": {"login": "x"}}, [], ["inputs"], "trigger_body"),
        ({"colour": "red"}, [], ["colour"], None),
        ({"workflows": "build"}, [], [], None),
        ({"workflows": [5]}, [], [], None),
        ([{"revision": "main"}], [], [], None),
        ("revision", [], [], None),
    ],
)
def test_a_record_says_what_is_in_a_body(body: Any, inputs: list[str], ignored: list[str], hint: str | None) -> None:
    request = run_workflows.to_successor(json.dumps(body).encode())

    assert (request.inputs, request.ignored_fields, request.hint) == (inputs, ignored, hint)


@given(bodies)
@example(b'{"revision":' * 5000)
@example(b'{"revision":"\xff"}')
@example(b'{"revision":1} x')
@example(b"")
def test_any_body_goes_on_as_it_came(body: bytes) -> None:
    assert run_workflows.to_successor(body).body == body


@given(status=st.integers(200, 599), body=bodies)
@example(status=200, body=b"[" * 100_000)
@example(status=500, body=b'{"message":' * 100_000)
def test_any_answer_comes_back_as_it_came(status: int, body: bytes) -> None:
    answer = run_workflows.to_legacy(status, body)

    assert (answer.status, answer.body, answer.trigger_status) == (status, body, None)
    assert not (answer.has_run and status >= 300)
    assert trigger.taken_over(answer) == answer


@pytest.mark.parametrize(
    ("status", "body", "run", "user"),
    [
        (200, '{"id":"x","slug":"7","user":{"id":"u","slug":"alice"}}', "7", "alice"),
        (201, '{"id":"x"}', "x", None),
        (200, '{"slug":""}', None, None),
        (200, '{"flux_id":"7"}', None, None),
        (302, '{"slug":"7"}', None, None),
        (409, '{"slug":"7"}', None, None),
    ],
)
def test_a_run_is_known_where_there_is_one(status: int, body: str, run: str | None, user: str | None) -> None:
    answer = run_workflows.to_legacy(status, body.encode())

    assert (answer.run, answer.run_user) == (run, user)


def test_a_record_gets_no_more_names_than_it_can_hold() -> None:
    values = [{"name": f"{n}" + "x" * 1000} for n in range(1000)]
    body = {"workflows": [{"values": values}], **{f"field{n}": 1 for n in range(1000)}}

    request = run_workflows.to_successor(json.dumps(body).encode())

    assert len(request.inputs) == len(request.ignored_fields) == trigger.NAMES_KEPT
    assert max(map(len, request.inputs)) == trigger.NAME_LENGTH
