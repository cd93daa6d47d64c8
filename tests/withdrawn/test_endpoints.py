import re
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.errors import InvalidPath
from proxy.withdrawn.endpoints import match
from tests.support.examples import examples
from tests.withdrawn.paths import SLUGS, UNCLEAN, WAYS_OUT, matched, successor_readings, trigger, without_dot_segments


def as_bytes_arrive(text: str) -> str:
    return text.encode().decode("latin-1")


def test_the_trigger_by_slug_leads_to_the_runs_of_its_repository() -> None:
    found = matched("/acme/shop/ci_workflows/build/trigger")

    assert found.endpoint.name == "trigger"
    assert found.segments == {"org": "acme", "repo": "shop", "workflow_name": "build"}
    assert found.workflow == "build"
    assert found.successor == "/repos/acme/shop/cicd/runs"


@pytest.mark.parametrize("prefix", ["id:", "id%3A", "id%3a"])
def test_the_trigger_by_id_wins_over_the_one_by_slug(prefix: str) -> None:
    found = matched(f"/repos/{prefix}0192-af/ci_workflows/build/trigger")

    assert found.endpoint.name == "trigger_by_id"
    assert found.segments == {"repo_id": "0192-af", "workflow_name": "build"}
    assert found.successor == "/repos/id:0192-af/cicd/runs"


@pytest.mark.parametrize("slug", ["id", "id5", "cloud-id", "my-id:5", "idx:5", "id-5", "id%2F5"])
def test_a_repository_may_be_called_nearly_as_an_id_is(slug: str) -> None:
    assert matched(trigger(repo=slug)).segments["repo"] == slug


def test_an_organization_may_be_called_as_an_id_is() -> None:
    assert matched(trigger(org="id:5")).segments["org"] == "id:5"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("release%2Fprod", "release/prod"),
        ("release%2fprod", "release/prod"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%252Fb", "a%2Fb"),
        ("100%25", "100%"),
        ("ship%20it", "ship it"),
        (quote("сборка"), "сборка"),
        (quote("🚀"), "🚀"),
        (as_bytes_arrive("сборка"), "сборка"),
        (as_bytes_arrive("🚀"), "🚀"),
        (as_bytes_arrive("тест") + quote("тест"), "тесттест"),
        ("..", ".."),
        ("%2E%2e", ".."),
        ("a;b=c", "a;b=c"),
        ("a\\b", "a\\b"),
        ("trigger", "trigger"),
    ],
)
def test_the_workflow_is_one_raw_segment_decoded_once(raw: str, name: str) -> None:
    found = matched(trigger(workflow=raw))

    assert found.workflow == name
    assert found.successor == "/repos/acme/shop/cicd/runs"


@pytest.mark.parametrize("raw", ["%FF", "%D1", "\xff", "\xd1", "ok%C0%AE", "%ED%A0%80"])
def test_a_workflow_that_is_not_utf8_is_an_invalid_path(raw: str) -> None:
    found = matched(trigger(workflow=raw))

    with pytest.raises(InvalidPath):
        _ = found.workflow


@settings(deadline=None)
@given(st.text(min_size=1))
def test_any_workflow_name_arrives_as_it_was_before_percent_encoding(name: str) -> None:
    assert matched(trigger(workflow=quote(name, safe=""))).workflow == name


@pytest.mark.parametrize("word", ["cicd", "ci_workflows", "trigger", "runs"])
def test_words_of_the_endpoints_may_name_organizations_repositories_and_workflows(word: str) -> None:
    found = matched(trigger(org=word, repo=word, workflow=word))

    assert found.segments == {"org": word, "repo": word, "workflow_name": word}
    assert found.successor == f"/repos/{word}/{word}/cicd/runs"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [trigger(), "/repos/id:5/ci_workflows/build/trigger"])
def test_another_method_is_not_the_trigger(method: str, path: str) -> None:
    assert match(method, path) is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "*",
        "/acme/shop",
        "/acme/shop/ci_workflows/build",
        "/acme/shop/ci_workflows/build/trigger/",
        "//acme/shop/ci_workflows/build/trigger",
        "/acme//shop/ci_workflows/build/trigger",
        "//shop/ci_workflows/build/trigger",
        "/acme//ci_workflows/build/trigger",
        "/acme/shop/ci_workflows//trigger",
        "/acme/shop/ci_workflows/trigger",
        "/acme/shop/ci_workflows/release/prod/trigger",
        "/acme%2Fshop/ci_workflows/build/trigger",
        "/acme/shop%2Fci_workflows/build/trigger",
        "/acme/shop/ci_workflows/build%2Ftrigger",
        "/acme/shop/CI_WORKFLOWS/build/trigger",
        "/x/acme/shop/ci_workflows/build/trigger",
        "/repos/acme/shop/ci_workflows/build/trigger",
        "/repos/id:/ci_workflows/build/trigger",
        "/repos/5/ci_workflows/build/trigger",
        "http://api.example/acme/shop/ci_workflows/build/trigger",
        "/repos/acme/shop/cicd/runs",
        "/repos/id:5/cicd/runs",
    ],
)
def test_a_path_of_another_shape_is_no_withdrawn_trigger(path: str) -> None:
    assert match("POST", path) is None


@pytest.mark.parametrize(
    "slug", ["%61cme", "sh%6Fp", "a-b_c.d~1", "a..b", "...", ".git", "x.", "a;v=1", "a+b", quote("сборка")]
)
def test_slugs_go_to_the_successor_as_they_came(slug: str) -> None:
    found = matched(trigger(org=slug, repo=slug))

    assert found.segments["org"] == found.segments["repo"] == slug
    assert found.successor == f"/repos/{slug}/{slug}/cicd/runs"


@pytest.mark.parametrize("slug", WAYS_OUT)
@pytest.mark.parametrize(
    "path", ["/{}/shop/ci_workflows/build/trigger", "/acme/{}/ci_workflows/build/trigger"], ids=["org", "repo"]
)
def test_a_slug_that_could_lead_to_another_path_is_refused(path: str, slug: str) -> None:
    with pytest.raises(InvalidPath):
        _ = matched(path.format(slug)).successor


@pytest.mark.parametrize("repo_id", ["%2F..", "%2F..%2F..", "5%2F..%2F6", "5%252F..", "5\\..", "5%5C.."])
def test_an_id_that_could_lead_to_another_path_is_refused(repo_id: str) -> None:
    with pytest.raises(InvalidPath):
        _ = matched(f"/repos/id:{repo_id}/ci_workflows/build/trigger").successor


@pytest.mark.parametrize(
    "slug", ["a b", "a\r\nX: y", "a\nb", "a\x00b", "shop\n", "a%zz", "a%", "%4", "\xd1\x81", 'a"b', "<a>", "a{b}"]
)
def test_a_slug_that_is_no_path_segment_is_refused(slug: str) -> None:
    with pytest.raises(InvalidPath):
        _ = matched(trigger(repo=slug)).successor


@pytest.mark.parametrize("slug", UNCLEAN)
def test_a_slug_with_control_characters_or_bad_utf8_is_refused(slug: str) -> None:
    for path in (trigger(org=slug), trigger(repo=slug), f"/repos/id:{slug}/ci_workflows/build/trigger"):
        with pytest.raises(InvalidPath):
            _ = matched(path).successor


CONFINED = re.compile(r"/repos/[^/]+/[^/]+/cicd/runs", re.DOTALL)
CONFINED_BY_ID = re.compile(r"/repos/id:[^/]+/cicd/runs", re.DOTALL)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/a/b/c/./../../g", "/a/g"),
        ("mid/content=5/../6", "mid/6"),
        ("/a/..", "/"),
        ("/..", "/"),
        ("/a/.", "/a/"),
        ("/../../a", "/a"),
        ("/a//../b", "/a/b"),
    ],
)
def test_the_normalisation_used_here_is_that_of_rfc_3986(path: str, normal: str) -> None:
    assert without_dot_segments(path) == normal


@settings(deadline=None, max_examples=examples(500))
@given(SLUGS, SLUGS)
@example("%25%32%65%25%32%65", "%252%65%252%65")
@example(";a", "id:5")
@example("a%2Fb", "c")
def test_no_slug_leads_out_of_the_runs_of_a_repository(org: str, repo: str) -> None:
    found = match("POST", trigger(org, repo))
    if found is None or found.endpoint.name != "trigger":
        return
    for reading in successor_readings(found):
        assert CONFINED.fullmatch(reading)


@settings(deadline=None, max_examples=examples(500))
@given(SLUGS)
@example("%25%32%46..")
def test_no_id_leads_out_of_the_runs_of_a_repository(repo_id: str) -> None:
    found = match("POST", f"/repos/id:{repo_id}/ci_workflows/build/trigger")
    for reading in successor_readings(found):
        assert CONFINED_BY_ID.fullmatch(reading)


@settings(deadline=None)
@given(st.text(), st.text())
@example("POST", "/\ud800/\U0010ffff/ci_workflows/\n/trigger")
def test_matching_raises_on_no_text_at_all(method: str, path: str) -> None:
    match(method, path)
    match("POST", path)
    match("POST", f"/{path}/shop/ci_workflows/{path}/trigger")
    match("POST", f"/repos/id:{path}/ci_workflows/{path}/trigger")
