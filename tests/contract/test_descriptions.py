import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.withdrawn.endpoints import ENDPOINTS, Endpoint

FOLDER = Path(__file__).parent
METHODS = {"get", "post", "patch", "delete", "put"}


def described(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.openapi.yaml").read_text(encoding="utf-8"))
    return document


def shape(path: str) -> str:
    """The path without the names of its parameters, which the descriptions have from the published document."""
    return re.sub(r"\{\w+\}", "{}", path)


def operations(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), shape(path)): operation
        for path, item in described(name)["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


@pytest.mark.parametrize("name", ["legacy", "successor"])
def test_the_description_is_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # jsonschema takes two more seconds to learn the grammar of IRIs, and a description has none.
    monkeypatch.setitem(sys.modules, "rfc3987_syntax", None)
    from openapi_spec_validator import validate  # noqa: PLC0415 - takes seconds, in each process that collects tests

    validate(described(name))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_withdrawn_endpoint_and_its_successor_are_described(endpoint: Endpoint) -> None:
    assert (endpoint.method, shape(endpoint.path)) in operations("legacy")
    assert (endpoint.method, shape(endpoint.successor)) in operations("successor")


def test_nothing_else_is_described_as_withdrawn() -> None:
    assert set(operations("legacy")) == {(endpoint.method, shape(endpoint.path)) for endpoint in ENDPOINTS}


def test_every_operation_but_the_triggers_answers_as_its_successor_does() -> None:
    legacy, successor = operations("legacy"), operations("successor")
    schemas = [described(name)["components"]["schemas"] for name in ("legacy", "successor")]
    for endpoint in ENDPOINTS:
        if not endpoint.is_trigger:
            withdrawn = legacy[endpoint.method, shape(endpoint.path)]
            current = successor[endpoint.method, shape(endpoint.successor)]
            assert withdrawn["responses"] == current["responses"]
            assert withdrawn.get("requestBody") == current.get("requestBody")
            assert withdrawn["operationId"] == f"{current['operationId']}Deprecated"
    assert {name: schemas[0][name] for name in schemas[1]} == schemas[1]


def test_every_withdrawn_operation_is_marked_as_deprecated() -> None:
    assert all(operation["deprecated"] for operation in operations("legacy").values())
