"""A client that is generated from the description of the withdrawn section drives the proxy."""

import gzip
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.standin.repositories import CUBE, TASK
from tests.contract.world import World, world

DESCRIPTION = Path(__file__).parent / "legacy.openapi.yaml"
PACKAGE = "legacy_client"
SHOP = "acme", "shop"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("generated")
    settings = folder / "settings.yaml"
    settings.write_text("post_hooks: []\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    command += ["--path", str(DESCRIPTION), "--config", str(settings), "--output-path", str(folder / PACKAGE)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    sys.path.insert(0, str(folder))
    yield PACKAGE
    sys.path.remove(str(folder))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as running:
        yield running


class Api:
    """The generated package; its operations by their names, its models by theirs."""

    def __init__(self, package: str, url: str) -> None:
        self._package = package
        self.models = importlib.import_module(f"{package}.models")
        client = importlib.import_module(f"{package}.client")
        self._client = client.AuthenticatedClient(base_url=url, token="t", timeout=httpx.Timeout(20))

    def call(self, operation: str, *path: str, **parameters: Any) -> Any:
        module = importlib.import_module(f"{self._package}.api.default.{operation}")
        return module.sync_detailed(*path, client=self._client, **parameters)


@pytest.fixture
def api(package: str, here: World) -> Iterator[Api]:
    made = Api(package, here.url)
    with made._client:
        yield made


def ended(api: Api, run: str) -> Any:
    while (found := api.call("get_run_deprecated", *SHOP, run).parsed).status != "success":
        pass
    return found


def test_a_trigger_is_answered_in_the_legacy_model(api: Api, here: World) -> None:
    models = api.models
    value = models.InputValue(name="env", value="staging")
    body = models.RunCIBody(revision="tags:v1.0.0", input_=models.WorkflowInput(values=[value]))
    by_slug = api.call("run_workflow", *SHOP, "release/prod", body=body)
    by_id = api.call("run_workflow_by_id", "42", "release/prod", body=models.RunCIBody(revision=None))
    bodiless = api.call("run_workflow", *SHOP, "build")
    for number, answer in enumerate((by_slug, by_id, bodiless), 1):
        assert isinstance(answer.parsed, models.RunCIWorkflowResponse)
        assert answer.parsed.flux_public_id == str(number)
        assert answer.parsed.trigger_status.value == "created"
    assert [run.names for run in here.standin.runs] == [["release/prod"], ["release/prod"], ["build"]]


def test_a_run_can_be_followed_to_its_logs_and_its_artifact(api: Api) -> None:
    models = api.models
    started = api.call("run_workflow", *SHOP, "build", body=models.RunCIBody()).parsed.flux_public_id
    run = ended(api, started)
    assert isinstance(run, models.Run)
    [workflow] = run.workflows
    assert isinstance(api.call("get_workflow_deprecated", *SHOP, started, workflow.slug).parsed, models.Workflow)
    cube = (*SHOP, started, workflow.slug, workflow.tasks[0].slug, workflow.tasks[0].cubes[0].slug)
    assert cube[-2:] == (TASK, CUBE)

    pages = [api.call("get_cube_logs_deprecated", *cube, page=page).parsed for page in (1, 2)]
    assert all(isinstance(page, models.GetCubeLogsResponse) for page in pages)
    assert [page.done for page in pages] == [False, True]

    [artifact] = api.call("get_cube_artifacts_deprecated", *cube).parsed.artifacts
    content = gzip.decompress(httpx.get(artifact.download_url, timeout=20, trust_env=False).content)
    assert content.startswith(f"built by run {started}\n".encode())


def test_runs_are_started_and_listed_page_by_page(api: Api) -> None:
    models = api.models
    for branch in ("one", "two", "three"):
        head, build = models.GitRevision(branch=branch), models.WorkflowData(name="build")
        answer = api.call("run_workflows_deprecated", *SHOP, body=models.RunWorkflowsBody(head=head, workflows=[build]))
        assert isinstance(answer.parsed, models.Run)
    first = api.call("list_runs_deprecated", *SHOP, page_size="2").parsed
    second = api.call("list_runs_deprecated", *SHOP, page_size="2", page_token=first.next_page_token).parsed
    assert [[run.slug for run in page.runs] for page in (first, second)] == [["3", "2"], ["1"]]
    assert second.next_page_token == ""


def test_a_repository_is_updated_and_deleted(api: Api, here: World) -> None:
    body = api.models.UpdateRepositoryBody(description="toys")
    answer = api.call("update_repository_deprecated", *SHOP, body=body, silent=True)
    assert (answer.parsed.id, answer.parsed.description) == ("42", "toys")
    assert api.call("delete_repository_deprecated", *SHOP, silent=False).status_code == 204
    assert here.standin.repositories[0].deleted


@pytest.mark.parametrize(
    ("operation", "path", "status", "code"),
    [
        ("run_workflow", ("acme", "nowhere", "build"), 404, "NotFound"),
        ("run_workflow", ("acme", "a/b", "build"), 400, "InvalidPath"),
        ("get_run_deprecated", (*SHOP, "99"), 404, "NotFound"),
        ("delete_repository_deprecated", ("acme", "nowhere"), 404, "NotFound"),
    ],
)
def test_an_error_is_answered_in_the_error_model(
    api: Api, operation: str, path: tuple[str, ...], status: int, code: str
) -> None:
    answer = api.call(operation, *path)
    assert isinstance(answer.parsed, api.models.Error)
    assert (answer.status_code, answer.parsed.error_code) == (status, code)
