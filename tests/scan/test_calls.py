"""What replaces a call exactly, and which parts of the path are known."""

import pytest

from proxy.scan.patterns import find


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        ("GET $API/acme/shop/cicd/runs", "GET $API/repos/acme/shop/cicd/runs"),
        ('curl "$API"/"$ORG"/"$REPO"/cicd/runs', 'curl "$API"/"repos/$ORG"/"$REPO"/cicd/runs'),
        (
            r'{"GET": "https:\/\/api.sourcecraft.tech\/a\/b\/cicd\/runs"}',
            r'{"GET": "https:\/\/api.sourcecraft.tech\/repos\/a\/b\/cicd\/runs"}',
        ),
        ("http.get(`acme/${repo}/cicd/runs/${run}`)", "http.get(`repos/acme/${repo}/cicd/runs/${run}`)"),
        ("location ~ ^/([^/]+)/([^/]+)/cicd/runs$", "location ~ ^/repos/([^/]+)/([^/]+)/cicd/runs$"),
        ("curl -X DELETE https://api.sourcecraft.tech/a/b", "curl -X DELETE https://api.sourcecraft.tech/repos/a/b"),
        ("R=acme/shop\ncurl $API/$R/cicd/runs", "R=acme/shop\ncurl $API/repos/$R/cicd/runs"),
    ],
)
def test_the_edit_puts_repos_in_front_of_the_path(text: str, edited: str) -> None:
    [found] = find(text)

    assert found.hit.edit is not None
    assert text[: found.hit.start] + found.hit.edit + text[found.hit.end :] == edited
    assert find(edited) == []


@pytest.mark.parametrize(
    "text",
    [
        "POST $API/acme/shop/ci_workflows/build/trigger",
        "get(api + '/' + org + '/' + repo + '/cicd/runs')",
        "get([api, 'acme', 'shop', 'cicd', 'runs'].join('/'))",
        "REPO_URL=https://api.sourcecraft.tech/acme/shop\ncurl $REPO_URL/cicd/runs",
        "B=$API/acme\ncurl $B/shop/cicd/runs",
        "curl $API$ORG/$REPO/cicd/runs",
        "client.listRunsDeprecated()",
    ],
)
def test_what_is_more_than_that_has_no_edit(text: str) -> None:
    assert [found.hit.edit for found in find(text)] == [None]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        (
            "POST /acme/shop/ci_workflows/build/trigger",
            {"{org}": "acme", "{repo}": "shop", "{workflow_name}": "build"},
        ),
        (
            "ORG=acme\nNAME=build\ncurl $API/$ORG/$REPO/ci_workflows/$NAME/trigger",
            {"{org}": "acme", "{repo}": "$REPO", "{workflow_name}": "build"},
        ),
        ("POST /repos/id:$ID/ci_workflows/build/trigger", {"id:{repo_id}": "id:$ID", "{workflow_name}": "build"}),
        ("curl -X DELETE https://api.sourcecraft.tech/acme/shop", {"{org}": "acme", "{repo}": "shop"}),
    ],
)
def test_a_finding_knows_the_segments_of_its_path(text: str, segments: dict[str, str]) -> None:
    [found] = find(text)

    assert dict(found.hit.segments) == segments
