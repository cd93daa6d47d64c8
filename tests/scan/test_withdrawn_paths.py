import pytest

from proxy.scan.finding import Confidence
from proxy.scan.patterns import find


@pytest.mark.parametrize(
    "path",
    [
        "$HOST/api/$ORG/$REPO/cicd/runs",
        "/api/v2/${team}/${app}/cicd/runs",
        "/api/cicd/runs",
        "/v1/$A/$B/cicd/runs",
        "https://api.sourcecraft.tech/v1/$A/$B/cicd/runs",
        "$API/portal/$TEAM/$APP/cicd/runs",
        "/srv/acme/cicd/runs",
        "/cicd/runs",
        "$API_URL/cicd/runs",
        "src/cicd/runs",
        "gs://bucket/$TEAM/$APP/cicd/runs",
        "s3://builds/acme/shop/cicd/runs",
        "$HOME/$PROJECT/cicd/runs",
        "${baseDir}/$TEAM/$APP/cicd/runs",
        "/var/$APP/cicd/runs",
    ],
)
def test_a_path_of_another_api_or_of_files_is_none(path: str) -> None:
    assert find(f"GET '{path}'") == []


@pytest.mark.parametrize(
    "path", ["$REPO_URL/cicd/runs", "$API/$CI_PROJECT_PATH/cicd/runs", "${this.repository}/cicd/runs/1"]
)
def test_a_variable_that_may_hold_the_repository_is_looked_at(path: str) -> None:
    [found] = find(f"GET {path}")

    assert found.hit.confidence is Confidence.LOOK
    assert found.hit.replacement.endswith(", if /repos is not there yet")
    assert found.hit.edit is None


@pytest.mark.parametrize("path", ["$REPOS/$A/$B/cicd/runs", "${reposUrl}/cicd/runs", "$API/repos/$SLUG/cicd/runs"])
def test_a_successor_is_none(path: str) -> None:
    assert find(f"GET {path}") == []
