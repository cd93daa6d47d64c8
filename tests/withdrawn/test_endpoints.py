import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.errors import InvalidPath
from proxy.withdrawn.endpoints import ENDPOINTS, Match, match

CURRENT_FIRST_SEGMENTS = [
    "issue_comments",
    "issue_links",
    "issue_statuses",
    "issues",
    "labels",
    "me",
    "milestones",
    "operations",
    "orgs",
    "projects",
    "pull_comments",
    "pulls",
    "releases",
    "repos",
    "teams",
    "user",
    "users",
]
IDS = ["id:42", "id%3A42", "id%3a42", "%69d:42", "i%64%3A42", "ID:42", "cloud-id:x", "cloud%2Did%3ax", "%63loud-id:x"]
"""Spellings of a second segment that names something by its ID."""


def matched(path: str, method: str = "POST") -> Match:
    found = match(method, path)
    assert found is not None
    return found


def trigger(org: str = "acme", repo: str = "shop", workflow: str = "build") -> str:
    return f"/{org}/{repo}/ci_workflows/{workflow}/trigger"


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


@pytest.mark.parametrize("segment", CURRENT_FIRST_SEGMENTS)
def test_a_first_segment_of_the_current_api_is_never_an_organization(segment: str) -> None:
    assert match("POST", trigger(org=segment)) is None


@pytest.mark.parametrize("segment", CURRENT_FIRST_SEGMENTS)
def test_an_organization_may_begin_or_end_with_a_word_of_the_current_api(segment: str) -> None:
    assert matched(trigger(org=f"{segment}-2")).segments["org"] == f"{segment}-2"
    assert matched(trigger(org=f"my-{segment}")).segments["org"] == f"my-{segment}"


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


WAYS_OUT = [
    ".",
    "..",
    "%2e",
    "%2E%2E",
    ".%2e",
    "%2e.",
    "%252e%252E",
    "%25252e.",
    "%25%32%65%25%32%65",
    "%252%65.",
    "%%32e%%32e",
    "..;",
    "..;a=b",
    ".;",
    "..%3B",
    "%2e%2e%3ba",
    "..%253Ba",
    ";a",
    "a\\..",
    "..\\",
    "\\",
    "a%5C..",
    "a%5cb",
    "a%255C..",
    "a%2F..",
    "..%2Fa",
    "a%2F..%2F..%2Fusers",
    "a%2Fb",
    "a%2fb",
    "a%3fb",
    "%2F",
    "a%252F..",
    "a%25252fb",
    "a?",
    "a#",
    "a%3Fb",
    "a%23b",
]


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


UNCLEAN = ["a%00b", "%0d%0aX:y", "%1F", "%7f", "%C2%80", "%c2%9Fa", "%C0%AE", "%c0%af", "%E0%80%AF", "%FF", "%ED%A0%80"]
"""Encoded control characters, overlong UTF-8, and what is no UTF-8 at all."""


@pytest.mark.parametrize("slug", UNCLEAN)
def test_a_slug_with_control_characters_or_bad_utf8_is_refused(slug: str) -> None:
    for path in (trigger(org=slug), trigger(repo=slug), f"/repos/id:{slug}/ci_workflows/build/trigger"):
        with pytest.raises(InvalidPath):
            _ = matched(path).successor


HARMLESS = [*"aZ5-_~+:&=", "%41", "%d1", "%20", "2e", "2F", "5c", "25", "id:"]
SUSPECT = [
    *".;",
    "..",
    "%2e",
    "%2E",
    "%3b",
    "%2F",
    "%2f",
    "%5C",
    "%5c",
    "%25",
    "%32",
    "%65",
    "%46",
    "%3F",
    *"/\\ %\n\xff",
]
SLUGS = st.lists(st.sampled_from(HARMLESS) | st.sampled_from(SUSPECT), min_size=1, max_size=6).map("".join)
CONFINED = re.compile(r"/repos/[^/]+/[^/]+/cicd/runs", re.DOTALL)
CONFINED_BY_ID = re.compile(r"/repos/id:[^/]+/cicd/runs", re.DOTALL)


def decodings(path: str) -> list[str]:
    found = [path]
    while (decoded := unquote(found[-1], "latin-1")) != found[-1]:
        found.append(decoded)
    return found


def without_dot_segments(path: str) -> str:
    """RFC 3986, section 5.2.4, letter by letter."""
    left, output = path, ""
    while left:
        if left.startswith("../"):
            left = left[3:]
        elif left.startswith(("./", "/./")):
            left = left[2:]
        elif left == "/.":
            left = "/"
        elif left.startswith("/../") or left == "/..":
            left = "/" + left[4:]
            output = output[: output.rfind("/")] if "/" in output else ""
        elif left in {".", ".."}:
            left = ""
        else:
            end = left.find("/", 1)
            end = len(left) if end < 0 else end
            output, left = output + left[:end], left[end:]
    return output


def readings(path: str) -> set[str]:
    """What the path may mean to servers that decode again, take a backslash for a slash, or strip parameters."""
    found = set()
    for decoded in decodings(path):
        for slashes in (decoded, decoded.replace("\\", "/")):
            for path_only in (slashes, re.split("[?#]", slashes)[0]):
                found |= {without_dot_segments(path_only), without_dot_segments(re.sub(";[^/]*", "", path_only))}
    return found


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


@settings(deadline=None, max_examples=500)
@given(SLUGS, SLUGS)
@example("%25%32%65%25%32%65", "%252%65%252%65")
@example(";a", "id:5")
@example("a%2Fb", "c")
def test_no_slug_leads_out_of_the_runs_of_a_repository(org: str, repo: str) -> None:
    found = match("POST", trigger(org, repo))
    if found is None or found.endpoint.name != "trigger":
        return
    try:
        successor = found.successor
    except InvalidPath:
        return
    for reading in readings(successor):
        assert CONFINED.fullmatch(reading)


@settings(deadline=None, max_examples=500)
@given(SLUGS)
@example("%25%32%46..")
def test_no_id_leads_out_of_the_runs_of_a_repository(repo_id: str) -> None:
    found = match("POST", f"/repos/id:{repo_id}/ci_workflows/build/trigger")
    if found is None:
        return
    try:
        successor = found.successor
    except InvalidPath:
        return
    for reading in readings(successor):
        assert CONFINED_BY_ID.fullmatch(reading)


@settings(deadline=None)
@given(st.text(), st.text())
@example("POST", "/\ud800/\U0010ffff/ci_workflows/\n/trigger")
def test_matching_raises_on_no_text_at_all(method: str, path: str) -> None:
    match(method, path)
    match("POST", path)
    match("POST", f"/{path}/shop/ci_workflows/{path}/trigger")
    match("POST", f"/repos/id:{path}/ci_workflows/{path}/trigger")


# --- the rest of the section

CUBE = "7/build/task/cube"
SECTION = [
    ("run_workflows", "POST", "/acme/shop/cicd/runs"),
    ("list_runs", "GET", "/acme/shop/cicd/runs"),
    ("get_run", "GET", "/acme/shop/cicd/runs/7"),
    ("get_workflow", "GET", "/acme/shop/cicd/runs/7/build"),
    ("get_logs", "GET", f"/acme/shop/cicd/logs/{CUBE}"),
    ("get_artifacts", "GET", f"/acme/shop/cicd/artifacts/{CUBE}"),
    ("update_repository", "PATCH", "/acme/shop"),
    ("delete_repository", "DELETE", "/acme/shop"),
]


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


@pytest.mark.parametrize(("name", "method", "path"), SECTION)
@pytest.mark.parametrize("segment", CURRENT_FIRST_SEGMENTS)
def test_below_a_first_segment_of_the_current_api_there_is_no_withdrawn_row(
    name: str, method: str, path: str, segment: str
) -> None:
    assert match(method, path.replace("acme", segment)) is None
    assert matched(path.replace("acme", f"{segment}-2"), method).endpoint.name == name


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


@pytest.mark.parametrize(("name", "method", "path"), [("trigger", "POST", trigger()), *SECTION])
@pytest.mark.parametrize("second", IDS)
def test_what_is_named_by_its_id_is_no_repository_whoever_owns_it(
    name: str, method: str, path: str, second: str
) -> None:
    assert match(method, path.replace("acme/shop", f"whatever_comes_next/{second}")) is None
    assert matched(path, method).endpoint.name == name


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


@settings(deadline=None, max_examples=500)
@given(SLUGS, SLUGS, SLUGS)
@example("7", "a%2F..%2F..%2F..%2F..%2Fusers", "x")
@example("7", "..%3Fx", "..%23")
def test_no_segment_leads_out_of_its_repository(run: str, workflow: str, task: str) -> None:
    found = match("GET", f"/acme/shop/cicd/logs/{run}/{workflow}/{task}/cube")
    if found is None:
        return
    try:
        successor = found.successor
    except InvalidPath:
        return
    for reading in readings(successor):
        assert reading.startswith("/repos/acme/shop/cicd/logs/")


def test_the_workflow_of_a_row_is_the_slug_as_it_came() -> None:
    assert matched("/acme/shop/cicd/runs/7/a%2Fb", "GET").workflow == "a%2Fb"
    assert matched("/acme/shop/cicd/runs/7", "GET").workflow is None
