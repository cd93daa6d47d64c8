import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import InvalidAnswer, InvalidBody, UpstreamError
from proxy.withdrawn import trigger
from tests.withdrawn.samples import bodies, json_values


@given(body=bodies, workflow=st.text(min_size=1))
@example(body=b'{"input":' * 5000, workflow="w")
@example(body=b'{"\\ud800":1}', workflow="w")
@example(body=b'{"input":{"values":[{"name":"\\ud800"}]}}', workflow="w")
def test_no_body_makes_the_request_translation_raise_anything_but_its_own_error(body: bytes, workflow: str) -> None:
    try:
        request = trigger.to_successor(body, workflow)
    except InvalidBody as error:
        assert error.details["at"].startswith("$")
    else:
        assert msgspec.json.decode(request.body)["workflows"][0]["name"] == workflow


@given(status=st.integers(100, 999), body=bodies)
@example(status=200, body=b"[" * 100_000)
def test_no_answer_makes_the_translation_back_raise_anything_but_its_own_errors(status: int, body: bytes) -> None:
    try:
        answer = trigger.to_legacy(status, body)
    except (InvalidAnswer, UpstreamError):
        return
    if not answer.is_error:
        assert set(json.loads(answer.body)) == {"flux_id", "flux_public_id", "trigger_status"}
    else:
        assert (answer.status, answer.body) == (status, body)


@given(st.text(min_size=1) | st.from_regex("(tags:)?[0-9a-fA-F]{39,41}", fullmatch=True))
def test_a_revision_becomes_exactly_one_of_the_three_kinds_with_its_whole_text(revision: str) -> None:
    [(kind, value)] = msgspec.to_builtins(trigger.revision_to_successor(revision)).items()
    assert ("tags:" if kind == "tag" else "") + value == revision


def test_an_empty_revision_is_the_default_branch() -> None:
    assert trigger.revision_to_successor("") is trigger.revision_to_successor(None) is None


@given(st.lists(json_values.map(json.dumps), min_size=1))
def test_items_come_out_as_the_bytes_they_went_in_as(items: list[str]) -> None:
    if any(word in item for item in items for word in ("NaN", "Infinity")):
        return
    body = '{"input":{"values":[' + " ,\t".join(items) + "]}}"
    request = trigger.to_successor(body.encode(), "w")
    assert ('"values":[' + ",".join(items) + "]").encode() in request.body


def test_a_record_gets_no_more_names_than_it_can_hold() -> None:
    values = [{"name": f"{n}" + "x" * 1000, "value": ""} for n in range(1000)]
    body = {"input": {"values": values}, **{f"field{n}": 1 for n in range(1000)}}
    request = trigger.to_successor(json.dumps(body).encode(), "w")
    assert len(request.inputs) == len(request.ignored_fields) == trigger.NAMES_KEPT
    assert max(map(len, request.inputs)) == trigger.NAME_LENGTH
    assert len(msgspec.json.decode(request.body)["workflows"][0]["values"]) == 1000


@pytest.mark.parametrize(
    ("body", "at", "words"),
    [
        (b'{"revision":1}', "$.revision", "expected string, got int"),
        (b'{"input":"x"}', "$.input", "expected object, got string"),
        (b'{"input":{"values":{}}}', "$.input.values", "expected array, got object"),
        (b"[]", "$", "expected object, got array"),
    ],
)
def test_the_message_names_the_place_and_what_should_be_there(body: bytes, at: str, words: str) -> None:
    with pytest.raises(InvalidBody) as caught:
        trigger.to_successor(body, "w")
    assert caught.value.details == {"at": at}
    assert f"{words} at {at}." in caught.value.message


def test_a_message_never_quotes_the_value_of_an_input() -> None:
    for wrong in ('"hunter2"', '{"hunter2":1}', '["hunter2"', '[{"name":"a","value":"hunter2"}]}} hunter2'):
        with pytest.raises(InvalidBody) as caught:
            trigger.to_successor(b'{"input":{"values":' + wrong.encode(), "w")
        assert "hunter2" not in caught.value.message


STATUSES = [
    *(
        "created",
        "prepared",
        "processing",
        "failed",
        "canceled",
        "timeout",
        "awaiting_approval",
        "rejected",
        "on_holiday",
    ),
    *("success", "skipped"),
]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("workflows", [{}, {"workflows": None}, {"workflows": []}, {"workflows": [{}]}])
@pytest.mark.parametrize("messages", [{}, {"error_messages": None}, {"error_messages": []}, {"error_messages": ["x"]}])
def test_only_a_run_that_ended_well_without_a_word_had_nothing_to_start(
    status: str, workflows: dict[str, Any], messages: dict[str, Any]
) -> None:
    answer = trigger.to_legacy(200, json.dumps({"slug": "1", "status": status, **workflows, **messages}).encode())

    said_nothing = not (workflows.get("workflows") or messages.get("error_messages"))
    nothing = status in {"success", "skipped"} and said_nothing
    assert answer.trigger_status == ("nothing_to_start" if nothing else "created")
    assert trigger.taken_over(answer).trigger_status == "already_exists"
    assert answer.has_run
