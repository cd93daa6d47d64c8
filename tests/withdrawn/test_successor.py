import json
from typing import Any

import pytest

from proxy.withdrawn.successor import Explanation, explanation_in, run_in

NOT_JSON_OBJECTS = [b"", b"[]", b'"run"', b"{", b'{"slug":"\xff"}', b"[" * 100_000]


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ({"slug": "7", "id": "r-1"}, "7"),
        ({"slug": "", "id": "r-1"}, "r-1"),
        ({"id": "r-1", "added_later": [1]}, "r-1"),
        ({"slug": "", "id": ""}, None),
        ({}, None),
    ],
)
def test_a_run_is_named_by_its_slug_or_else_its_id(run: dict[str, Any], name: str | None) -> None:
    found = run_in(json.dumps(run).encode())
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ({"slug": "alice", "id": "u-1"}, "alice"),
        ({"id": "u-1"}, "u-1"),
        ({"slug": 5}, None),
        ("alice", None),
        (None, None),
    ],
)
def test_the_user_of_a_run_may_have_any_type(user: Any, name: str | None) -> None:
    found = run_in(json.dumps({"slug": "7", "user": user}).encode())
    assert found is not None
    assert found.user_name == name


@pytest.mark.parametrize("body", [*NOT_JSON_OBJECTS, b'{"slug":7}', b'{"workflows":"build"}'])
def test_a_body_of_another_type_is_not_a_run(body: bytes) -> None:
    assert run_in(body) is None


@pytest.mark.parametrize(
    ("error", "explanation"),
    [
        ({"error_code": "NotFound", "message": "no"}, Explanation("NotFound", "no")),
        ({"error_code": 404, "message": "no"}, Explanation(None, "no")),
        ({"error_code": "NotFound", "message": {"en": "no"}}, Explanation("NotFound", None)),
        ({"details": {}}, Explanation()),
    ],
)
def test_a_text_of_an_error_that_is_not_a_string_is_left_out(error: dict[str, Any], explanation: Explanation) -> None:
    assert explanation_in(json.dumps(error).encode()) == explanation


@pytest.mark.parametrize("body", NOT_JSON_OBJECTS)
def test_an_error_that_is_not_a_json_object_explains_nothing(body: bytes) -> None:
    assert explanation_in(body) == Explanation()
