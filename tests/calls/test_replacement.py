"""The new call for an old one; the commands that print it are tested in tests/commands."""

import json

import pytest

from proxy.calls import replacement
from proxy.calls.call import Call, Language, NotRead, Variable
from proxy.calls.replacement import NotWithdrawn
from proxy.errors import InvalidBody, InvalidPath
from tests.withdrawn.paths import SECTION, trigger

BASE = "https://api.example"
RUNS = f"{BASE}/repos/acme/shop/cicd/runs"


def call(url: str = BASE + trigger(), body: str = "{}", method: str = "POST", *headers: tuple[str, str]) -> Call:
    return Call("curl", Language.SHELL, method, url, headers, body)


def test_headers_stay_but_those_about_the_body() -> None:
    token, agent = ("Authorization", "Bearer $TOKEN"), ("User-Agent", "nightly")
    old = call(BASE + trigger(), "{}", "POST", token, ("content-TYPE", "text/plain"), ("Content-Length", "2"), agent)
    assert replacement.of_call(old).call.headers == (token, agent, ("Content-Type", "application/json"))


def test_the_query_is_left_out_and_variables_stay() -> None:
    new, _ = replacement.of_call(call("$API/$ORG/shop/ci_workflows/$NAME/trigger?silent=1"))
    assert new.url == "$API/repos/$ORG/shop/cicd/runs"
    assert json.loads(new.body) == {"workflows": [{"name": "$NAME"}]}


@pytest.mark.parametrize(
    ("old", "error", "said"),
    [
        (call(f"{BASE}/repos/acme/shop/cicd/runs"), NotWithdrawn, "is not the withdrawn trigger"),
        (call(BASE + trigger(), "{}", "GET"), NotRead, "is called with POST, not GET"),
        (call()._replace(problem="because"), NotRead, "because"),
        (call()._replace(body_file="body.json"), NotRead, "body.json"),
        (call(method="PUT"), NotRead, "is called with POST, not PUT"),
        (call(BASE + trigger(workflow="%FF")), InvalidPath, None),
        (call(body="[]"), InvalidBody, None),
    ],
)
def test_a_call_that_is_not_a_valid_trigger_has_no_replacement(
    old: Call, error: type[Exception], said: str | None
) -> None:
    with pytest.raises(error, match=said):
        replacement.of_call(old)


@pytest.mark.parametrize(("_name", "method", "path"), SECTION)
def test_a_call_of_another_endpoint_has_only_a_new_path(_name: str, method: str, path: str) -> None:
    base = "https://api.sourcecraft.tech"
    for headers in ((), (("content-type", "a/b"),)):
        old = call(f"{base}{path}?page_size=2", "", method, *headers)
        assert replacement.of_call(old) == (old._replace(url=f"{base}/repos{path}?page_size=2"), [])


def test_a_body_that_says_no_type_is_json() -> None:
    old = call("https://api.sourcecraft.tech/acme/shop", "{}", "PATCH")
    assert replacement.of_call(old).call.headers == (("Content-Type", "application/json"),)


def test_the_body_of_a_trigger_at_another_endpoint_is_told() -> None:
    old = call("https://api.sourcecraft.tech/acme/shop/cicd/runs", '{"revision": "main"}')
    assert any("revision is now head" in note for note in replacement.of_call(old).notes)


def test_a_variable_for_a_revision_is_treated_as_a_branch_and_told() -> None:
    old = call(body='{"revision": "\ue000"}')._replace(variables={"\ue000": Variable("$BRANCH")})
    new, notes = replacement.of_call(old)
    assert json.loads(new.body)["head"] == {"branch": "\ue000"}
    assert "a revision is a variable" in notes[0]


def test_a_variable_for_all_inputs_takes_the_place_of_the_list() -> None:
    old = call(body='{"input": {"values": "\ue000"}}')._replace(
        variables={"\ue000": Variable("$V", None, is_value=True)}
    )
    new, _ = replacement.of_call(old)
    assert json.loads(new.body)["workflows"] == [{"name": "build", "values": ["\ue000"]}]
    assert new.variables["\ue000"].is_list


def test_a_variable_for_a_part_that_has_to_be_translated_is_refused_by_its_name() -> None:
    old = call(body='{"input": "\ue000"}')._replace(variables={"\ue000": Variable("$INPUT", None, is_value=True)})
    with pytest.raises(InvalidBody, match=r"A part of the body is \$INPUT: write it out"):
        replacement.of_call(old)


def test_a_body_alone_gets_a_placeholder_for_its_path_and_a_note() -> None:
    new, notes = replacement.of_body('{"revision":"$main"}', BASE, None)
    assert new.url == f"{BASE}/repos/ORG/REPO/cicd/runs"
    assert json.loads(new.body)["head"] == {"branch": "$main"}
    assert any("replace ORG, REPO and WORKFLOW" in note for note in notes)


@pytest.mark.parametrize("path", ["acme/shop", "/a\nb"])
def test_a_path_for_a_body_begins_with_a_slash_and_is_printable(path: str) -> None:
    with pytest.raises(NotRead, match="is not a valid path"):
        replacement.of_body("{}", BASE, path)


def test_a_recorded_trigger_is_filled_in_by_its_owner() -> None:
    new, _ = replacement.of_recorded("POST", trigger(), ["version"], BASE)
    assert (new.method, new.url) == ("POST", RUNS)
    assert json.loads(new.body) == {
        "head": {"branch": "BRANCH"},
        "workflows": [{"name": "build", "values": [{"name": "version", "value": "VALUE"}]}],
    }


@pytest.mark.parametrize(("_name", "method", "path"), SECTION)
def test_a_recorded_call_of_another_endpoint_has_a_new_path_and_its_old_body(
    _name: str, method: str, path: str
) -> None:
    new, notes = replacement.of_recorded(method, path, [], BASE)
    assert (new.method, new.url) == (method, f"{BASE}/repos{path}")
    assert (new.body_file, bool(notes)) == (("BODY.json", True) if method in {"POST", "PATCH"} else (None, False))


def test_a_recorded_call_with_the_body_of_a_trigger_gets_the_new_body() -> None:
    new, notes = replacement.of_recorded("POST", "/acme/shop/cicd/runs", [], BASE, "trigger_body")
    assert json.loads(new.body) == {"head": {"branch": "BRANCH"}, "workflows": [{"name": "WORKFLOW"}]}
    assert any("revision is now head" in note for note in notes)


def test_a_recorded_call_of_the_current_api_has_no_replacement() -> None:
    with pytest.raises(NotRead, match="is not a withdrawn endpoint"):
        replacement.of_recorded("GET", "/repos/acme/shop/cicd/runs", [], BASE)
