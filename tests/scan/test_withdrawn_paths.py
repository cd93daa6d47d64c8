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


@pytest.mark.parametrize("name", ["${{ github.repository }}", "$GITHUB_REPOSITORY", "${CI_PROJECT_PATH}"])
def test_a_variable_that_always_holds_organization_and_repository_is_certain(name: str) -> None:
    [found] = find(f"GET https://api.sourcecraft.tech/{name}/cicd/runs")

    assert found.hit.confidence is Confidence.CERTAIN


def test_another_variable_may_hold_more() -> None:
    [found] = find("GET https://api.sourcecraft.tech/$REPOSITORY/cicd/runs")

    assert found.hit.confidence is Confidence.LIKELY
