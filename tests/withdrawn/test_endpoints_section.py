"""The rows of the withdrawn section beside the two triggers."""

from urllib.parse import quote

import pytest
from hypothesis import example, given, settings

from proxy.errors import InvalidPath
from proxy.withdrawn.endpoints import ENDPOINTS, Match, match
from tests.support.examples import examples
from tests.withdrawn.paths import CUBE, SECTION, SLUGS, UNCLEAN, WAYS_OUT, matched, successor_readings


def test_the_section_is_the_two_triggers_and_its_eight_rows() -> None:
    assert [endpoint.name for endpoint in ENDPOINTS] == ["trigger_by_id", "trigger", *(name for name, _, _ in SECTION)]
    assert [endpoint.name for endpoint in ENDPOINTS if endpoint.is_trigger] == ["trigger_by_id", "trigger"]


def test_what_starts_a_run_is_what_must_not_be_sent_twice() -> None:
    assert {endpoint.name for endpoint in ENDPOINTS if endpoint.starts_run} == {
        "trigger_by_id",
        "trigger",
        "run_workflows",
    }


@pytest.mark.parametrize(("name", "method", "path"), SECTION)
def test_each_row_is_the_same_path_below_repos(name: str, method: str, path: str) -> None:
    found = matched(path, method)

    assert found.endpoint.name == name
    assert (found.segments["org"], found.segments["repo"]) == ("acme", "shop")
    assert found.successor == f"/repos{path}"


@pytest.mark.parametrize(("name", "method", "path"), SECTION)
@pytest.mark.parametrize("other", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_row_has_its_own_methods_only(name: str, method: str, path: str, other: str) -> None:
    rows = {known: row for row, known, shape in SECTION if shape == path}
    found = match(other, path)

    assert (found.endpoint.name if found else None) == rows.get(other)
    assert rows[method] == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/repos/id:1"),
        ("DELETE", "/repos/id%3A1"),
        ("DELETE", "/teams/id:42"),
        ("PATCH", "/projects/id:7"),
        ("PATCH", "/operations/id:7"),
        ("DELETE", "/user/emails"),
        ("PATCH", "/issues/id:5"),
        ("DELETE", "/labels/id:9"),
        ("GET", "/users/alice"),
        ("GET", "/me/issues"),
        ("POST", "/repos/a/b/cicd/runs"),
        ("POST", "/repos/id:1/cicd/runs"),
        ("GET", "/repos/a/b/cicd/runs/7"),
        ("PATCH", "/repos/a/b"),
        ("DELETE", "/repos/a/b"),
        ("GET", "/acme/shop"),
        ("PUT", "/acme/shop"),
        ("PATCH", "/acme"),
        ("PATCH", "/acme/"),
        ("PATCH", "/acme/shop/"),
        ("PATCH", "/acme/shop/more"),
        ("GET", "/acme/shop/cicd/runs/"),
        ("GET", "/acme/shop/cicd"),
        ("GET", "/acme/shop/cicd/runs/7/build/task"),
        ("GET", "/acme/shop/cicd/logs/7/build/task"),
        ("GET", f"/acme/shop/cicd/logs/{CUBE}/more"),
        ("GET", f"/acme/shop/cicd/other/{CUBE}"),
        ("GET", "/acme/shop%2Fcicd/runs"),
        ("GET", "/acme/shop/cicd%2Fruns"),
        ("GET", "/acme/shop/CICD/runs"),
    ],
)
def test_a_call_of_another_shape_is_no_row_of_the_section(method: str, path: str) -> None:
    assert match(method, path) is None


@pytest.mark.parametrize("word", ["cicd", "ci_workflows", "runs", "logs", "artifacts", "trigger"])
@pytest.mark.parametrize(("name", "method", "path"), SECTION)
def test_words_of_the_section_may_name_organizations_and_repositories(
    name: str, method: str, path: str, word: str
) -> None:
    renamed = path.replace("acme", word).replace("shop", word)

    assert (matched(renamed, method).endpoint.name, matched(renamed, method).successor) == (name, f"/repos{renamed}")


SLUG_PLACES = ["acme", "shop", "7"]
NAME_PLACES = ["build", "task", "cube"]


def logs_with(place: str, raw: str) -> Match:
    """The call for logs with another segment in the place of one."""
    segments = [raw if segment == place else segment for segment in f"acme/shop/cicd/logs/{CUBE}".split("/")]
    return matched("/" + "/".join(segments), "GET")


@pytest.mark.parametrize("raw", ["%7Ea", "a;b", "a;v=1", "a%3Bb", "a+b", "...", "a%20b", quote("сборка")])
@pytest.mark.parametrize("place", [*SLUG_PLACES, *NAME_PLACES])
def test_segments_go_to_the_successor_byte_for_byte(place: str, raw: str) -> None:
    found = logs_with(place, raw)

    assert found.successor == f"/repos/acme/shop/cicd/logs/{CUBE}".replace(place, raw)


@pytest.mark.parametrize(
    "raw", ["a%2Fb", "a%5Cb", "a%3fb", "a%23b", "100%25", "a%252Fb", "%", "a%zz", 'a"b', "id:5", "<a>", "a\\b", ";a"]
)
@pytest.mark.parametrize("place", NAME_PLACES)
def test_a_name_may_hold_nearly_anything(place: str, raw: str) -> None:
    assert logs_with(place, raw).successor == f"/repos/acme/shop/cicd/logs/{CUBE}".replace(place, raw)


@pytest.mark.parametrize("raw", WAYS_OUT)
@pytest.mark.parametrize("place", SLUG_PLACES)
def test_a_slug_that_could_lead_to_another_path_is_refused_wherever_it_stands(place: str, raw: str) -> None:
    with pytest.raises(InvalidPath):
        _ = logs_with(place, raw).successor


@pytest.mark.parametrize("raw", [*UNCLEAN, "a\nb", "a\x00b", "a\x7f", "\xff", "\xc2\x9f", "a%2500"])
@pytest.mark.parametrize("place", [*SLUG_PLACES, *NAME_PLACES])
def test_no_segment_has_control_characters_or_bad_utf8(place: str, raw: str) -> None:
    with pytest.raises(InvalidPath):
        _ = logs_with(place, raw).successor


@pytest.mark.parametrize(
    "raw", [".", "..", "%2e", "%2E%2E", ".%2e", "..;a", "a%2F..", "..%5Ca", "a%252F%252e.", "..%3fa"]
)
@pytest.mark.parametrize("place", [*SLUG_PLACES, *NAME_PLACES])
def test_a_segment_of_dots_would_be_another_path_and_is_refused(place: str, raw: str) -> None:
    with pytest.raises(InvalidPath):
        _ = logs_with(place, raw).successor


@pytest.mark.parametrize(("name", "method", "path"), SECTION)
@pytest.mark.parametrize("raw", ["a%2Fb", "%2e%2e", "a%00", "%C0%AE"])
@pytest.mark.parametrize("place", ["acme", "shop"])
def test_every_row_refuses_what_is_no_slug(name: str, method: str, path: str, place: str, raw: str) -> None:
    found = matched(path.replace(place, raw), method)

    assert found.endpoint.name == name
    with pytest.raises(InvalidPath):
        _ = found.successor


def test_a_name_that_is_encoded_again_and_again_costs_nothing_and_is_refused() -> None:
    with pytest.raises(InvalidPath):
        _ = logs_with("build", "%" + "25" * 30_000).successor


@settings(deadline=None, max_examples=examples(500))
@given(SLUGS, SLUGS, SLUGS)
@example("7", "a%2F..%2F..%2F..%2F..%2Fusers", "x")
@example("7", "..%3Fx", "..%23")
def test_no_segment_leads_out_of_its_repository(run: str, workflow: str, task: str) -> None:
    found = match("GET", f"/acme/shop/cicd/logs/{run}/{workflow}/{task}/cube")
    for reading in successor_readings(found):
        assert reading.startswith("/repos/acme/shop/cicd/logs/")


def test_the_workflow_of_a_row_is_the_slug_as_it_came() -> None:
    assert matched("/acme/shop/cicd/runs/7/a%2Fb", "GET").workflow == "a%2Fb"
    assert matched("/acme/shop/cicd/runs/7", "GET").workflow is None
