"""Generated calls of every withdrawn operation, sent to a proxy over a real socket and held to the description."""

import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from proxy.standin.repositories import CUBE, TASK
from proxy.withdrawn.endpoints import ENDPOINTS
from tests.contract.world import world

CASES = int(os.environ.get("CASES", "60"))
"""Generated calls of each operation; `make fuzz` has 200."""

KNOWN = {
    "org_slug": "acme",
    "repo_slug": "shop",
    "repo_id": "42",
    "run_slug": "1",
    "workflow_slug": "build",
    "task_slug": TASK,
    "cube_slug": CUBE,
}
"""What the stand-in has, so that not every call ends with *not found*."""

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

LEGACY = schemathesis.openapi.from_path(Path(__file__).parent / "legacy.openapi.yaml")
LEGACY.config.generation.update(with_security_parameters=False)
OPERATIONS = {
    operation.definition.raw["operationId"]: operation
    for operation in (found.ok() for found in LEGACY.get_all_operations() if isinstance(found, Ok))
}
TRIGGERS = {"runWorkflow", "runWorkflowByID"}


def calls(operation: Any) -> st.SearchStrategy[Case[Any]]:
    """Calls as the description has them, and with a wrong body or query; at what exists, and less and less of that."""
    names = [parameter.name for parameter in operation.path_parameters]
    known = {name: KNOWN[name] for name in names if name in KNOWN}
    paths = [dict(list(known.items())[:length]) for length in range(len(known) + 1)]
    modes = list(GenerationMode) if operation.body or operation.query else [GenerationMode.POSITIVE]
    found = [
        operation.as_strategy(generation_mode=mode, path_parameters=path) for path in paths[::-1] for mode in modes
    ]
    return st.one_of(found).filter(lambda case: case.path_parameters.get("org_slug") != "-")  # the proxy's own pages


def is_known(case: Case[Any]) -> bool:
    return all(KNOWN.get(name, value) == value for name, value in case.path_parameters.items())


def is_right(case: Case[Any]) -> bool:
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


def is_own_error(answer: Response) -> bool:
    """Whether the proxy itself made it."""
    return "proxy-status" in answer.headers


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_to_a_generated_call_conforms_to_the_description(name: str, tmp_path: Path) -> None:
    answers: list[Response] = []
    with world(tmp_path) as here, requests.Session() as session:

        @settings(
            max_examples=CASES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=calls(OPERATIONS[name]))
        def call(case: Case[Any]) -> None:
            headers = {"Authorization": "Bearer t"}
            answer = case.call_and_validate(here.url, session, headers=headers, checks=CHECKS, timeout=20)
            answers.append(answer)
            if is_own_error(answer):
                assert set(answer.json()) == {"error_code", "message", "request_id", "details"}
            if is_known(case):
                assert "deprecation" in answer.headers
            if name in TRIGGERS and is_known(case) and is_right(case):
                assert answer.status_code == HTTPStatus.OK, answer.text

        here.standin.repositories[0].start([KNOWN["workflow_slug"]], "alice").show()
        before = len(here.standin.runs)
        call()

    good = [answer for answer in answers if answer.status_code < HTTPStatus.BAD_REQUEST]
    assert len(answers) >= CASES
    assert 0 < len(good) < len(answers)
    assert len(here.proxy.records()) == sum("deprecation" in answer.headers for answer in answers)
    assert len(here.standin.runs) - before == (len(good) if name.startswith("runWorkflow") else 0)


def test_every_withdrawn_operation_is_described() -> None:
    assert len(OPERATIONS) == len(ENDPOINTS)
