import pytest

from proxy.scan.finding import Located
from proxy.scan.likely_callers import LikelyCallers, Target
from proxy.scan.patterns import find

CALLS = [
    ("nightly", "trigger", Target("acme", "shop", None, "build")),
    ("release", "trigger", Target("acme", "shop", None, "release/prod")),
    ("other", "trigger", Target("umbrella", "shop", None, "build")),
    ("by-id", "trigger_by_id", Target(None, None, "42", "build")),
    ("lister", "list_runs", Target("acme", "shop")),
    ("starter", "run_workflows", Target("acme", "shop")),
    ("watcher", "get_workflow", Target("acme", "shop", None, "build")),
]


@pytest.mark.parametrize(
    ("text", "callers"),
    [
        ("POST $API/acme/shop/ci_workflows/build/trigger", ["nightly"]),
        ("POST $API/acme/shop/ci_workflows/release%2Fprod/trigger", ["release"]),
        ("POST $API/acme/shop/ci_workflows/$NAME/trigger", ["nightly", "release"]),
        ("POST $API/$ORG/shop/ci_workflows/build/trigger", ["nightly", "other"]),
        ("POST $API/$ORG/$REPO/ci_workflows/build/trigger", ["nightly", "other"]),
        ("POST $API/$ORG/$REPO/ci_workflows/$NAME/trigger", []),
        ("ORG=umbrella\nREPO=shop\nPOST $API/$ORG/$REPO/ci_workflows/$NAME/trigger", ["other"]),
        ("POST $API/acme/store/ci_workflows/build/trigger", []),
        ("post(f'{api}/{org}/{repo}/ci_workflows/{name}/trigger')", []),
        ("POST $API/repos/id:42/ci_workflows/build/trigger", ["by-id"]),
        ("POST $API/repos/id%3A42/ci_workflows/$NAME/trigger", ["by-id"]),
        ("POST $API/repos/id:$ID/ci_workflows/build/trigger", ["by-id"]),
        ("GET $API/acme/shop/cicd/runs", ["lister"]),
        ("POST $API/acme/shop/cicd/runs", ["starter"]),
        ("runs = '$API/acme/shop/cicd/runs'", ["lister", "starter"]),
        ("GET $API/acme/shop/cicd/runs/1/build", ["watcher"]),
        ("GET $API/acme/shop/cicd/runs/1/test", []),
        ("jq .flux_public_id", []),
    ],
)
def test_callers_with_the_same_repository_and_workflow_are_likely(text: str, callers: list[str]) -> None:
    [finding] = find(text)

    assert [*LikelyCallers(CALLS).of(Located("ci.sh", finding))] == callers
