"""The new call for an old one; the commands that print it are tested in tests/commands."""

import json

import pytest

from proxy.errors import InvalidBody, InvalidPath
from proxy.withdrawn import replacement
from proxy.withdrawn.curl import LITERAL_DOLLAR, Curl, CurlError
from tests.withdrawn.paths import SECTION, trigger

BASE = "https://api.example"
RUNS = f"{BASE}/repos/acme/shop/cicd/runs"


def call(url: str = BASE + trigger(), body: str = "{}", method: str = "POST", *headers: tuple[str, str]) -> Curl:
    return Curl(method, url, headers, body)


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
        (call(f"{BASE}/repos/acme/shop/cicd/runs"), CurlError, "is not the withdrawn trigger"),
        (call(f"{BASE}/acme/shop/cicd/runs"), CurlError, "is not the withdrawn trigger"),
        (call(method="PUT"), CurlError, "is called with POST, not PUT"),
        (call(BASE + trigger(workflow="%FF")), InvalidPath, None),
        (call(body="[]"), InvalidBody, None),
    ],
)
def test_a_call_that_is_not_a_valid_trigger_has_no_replacement(
    old: Curl, error: type[Exception], said: str | None
) -> None:
    with pytest.raises(error, match=said):
        replacement.of_call(old)


def test_a_body_alone_gets_a_placeholder_for_its_path_and_a_note() -> None:
    new, notes = replacement.of_body('{"revision":"$main"}', BASE, None)
    assert new.url == f"{BASE}/repos/ORG/REPO/cicd/runs"
    assert json.loads(new.body)["head"] == {"branch": f"{LITERAL_DOLLAR}main"}
    assert any("replace ORG, REPO and WORKFLOW" in note for note in notes)


@pytest.mark.parametrize("path", ["acme/shop", "/a\nb"])
def test_a_path_for_a_body_begins_with_a_slash_and_is_printable(path: str) -> None:
    with pytest.raises(CurlError, match="is not a valid path"):
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
    assert (new.body, bool(notes)) == (("@BODY.json", True) if method in {"POST", "PATCH"} else ("", False))


def test_a_recorded_call_with_the_body_of_a_trigger_gets_the_new_body() -> None:
    new, notes = replacement.of_recorded("POST", "/acme/shop/cicd/runs", [], BASE, "trigger_body")
    assert json.loads(new.body) == {"head": {"branch": "BRANCH"}, "workflows": [{"name": "WORKFLOW"}]}
    assert any("revision is now head" in note for note in notes)


def test_a_recorded_call_of_the_current_api_has_no_replacement() -> None:
    with pytest.raises(CurlError, match="is not a withdrawn endpoint"):
        replacement.of_recorded("GET", "/repos/acme/shop/cicd/runs", [], BASE)
