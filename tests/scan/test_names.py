import pytest

from proxy.scan.finding import Confidence
from proxy.scan.patterns import find


@pytest.mark.parametrize(
    "company", ["CIApi", "new WithdrawnApi()", "client.CIAPI", "from x.api import ci_api", "withdrawn_api"]
)
@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("runWorkflow", "trigger"),
        ("RunWorkflow", "trigger"),
        ("run_workflow", "trigger"),
        ("runWorkflowByID", "trigger_by_id"),
        ("runWorkflowById", "trigger_by_id"),
        ("run_workflow_by_id_with_http_info", "trigger_by_id"),
        ("RunWorkflowAsync", "trigger"),
    ],
)
def test_a_common_name_counts_beside_the_client(company: str, name: str, endpoint: str) -> None:
    [found] = find(f"{company}\n" + "x\n" * 1000 + f"api.{name}(a)")

    assert (found.hit.endpoint, found.hit.confidence, found.found) == (endpoint, Confidence.CERTAIN, name)
    assert found.hit.replacement.startswith("POST /repos/")
    assert find(f"api.{name}(a)") == []


@pytest.mark.parametrize(
    "call", ["RunWorkflow(ctx, a).RunCIBody(b)", "run_workflow(a, run_ci_body=b)", "runWorkflow({runCIBody})"]
)
def test_a_common_name_counts_beside_its_body(call: str) -> None:
    [found] = find(call)

    assert found.hit.endpoint == "trigger"


@pytest.mark.parametrize(
    ("call", "confidence"),
    [
        ("runWorkflow({orgSlug, repoSlug, workflowName})", Confidence.LIKELY),
        ("runWorkflowByID({repoId, workflowName})", Confidence.LIKELY),
        ("runWorkflow(workflowName)", None),
        ("runWorkflow({org, workflowName})", None),
        ("runWorkflow(reports: RunCiBodyReport[])", None),
        ("run_workflow(org, repo, workflowName='build')", None),
        ("runWorkflow(org, repo)", None),
    ],
)
def test_beside_the_name_of_the_parameter_it_is_less_sure(call: str, confidence: Confidence | None) -> None:
    assert [found.hit.confidence for found in find(call)] == ([confidence] if confidence else [])


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("runWorkflowsDeprecated", "run_workflows"),
        ("listRunsDeprecated", "list_runs"),
        ("getRunDeprecated", "get_run"),
        ("getWorkflowDeprecated", "get_workflow"),
        ("getCubeLogsDeprecated", "get_logs"),
        ("getCubeArtifactsDeprecated", "get_artifacts"),
        ("updateRepositoryDeprecated", "update_repository"),
        ("deleteRepositoryDeprecated", "delete_repository"),
        ("runWorkflowDeprecated", "trigger"),
    ],
)
@pytest.mark.parametrize("ending", ["", "Async", "WithHttpInfo", "Raw"])
def test_a_deprecated_name_counts_alone_in_any_spelling(name: str, endpoint: str, ending: str) -> None:
    snake = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
    for spelling in (name + ending, name[0].upper() + name[1:] + ending, snake):
        [found] = find(f"client.{spelling}(a)")

        assert (found.hit.endpoint, found.found) == (endpoint, spelling)


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("runWorkflows", "run_workflows"),
        ("listRuns", "list_runs"),
        ("getRun", "get_run"),
        ("getWorkflow", "get_workflow"),
        ("getCubeLogs", "get_logs"),
        ("getCubeArtifactsRaw", "get_artifacts"),
    ],
)
def test_the_sdk_that_calls_old_paths_with_new_names_is_to_be_looked_at(name: str, endpoint: str) -> None:
    [found] = find(f"import {{ CICDApi }} from '@me/sourcecraft-sdk'; new CICDApi().{name}({{}})")

    assert (found.hit.endpoint, found.hit.confidence, found.found) == (endpoint, Confidence.LOOK, name)
    assert found.hit.replacement.endswith("version 0.1.4 of the TypeScript SDK calls a withdrawn path with this name)")
    assert find(f"import {{ CICDApi }} from '@me/sdk'; new CICDApi().{name}({{}})") == []
    assert find(f"client.{name}({{}})") == []


def test_the_advice_does_not_lead_to_that_sdk() -> None:
    [found] = find("CIApi.runWorkflow(a)")

    assert found.hit.replacement == (
        "POST /repos/{org}/{repo}/cicd/runs"
        " (runWorkflows of version 0.1.4 of the TypeScript SDK calls a withdrawn path)"
    )


@pytest.mark.parametrize(
    "name", ["prerunWorkflow", "runWorkflowSync", "$runWorkflow", "runWorkflowDeprecatedly", "deprecated"]
)
def test_a_longer_name_is_another_one(name: str) -> None:
    assert find(f"CIApi {name}()") == []
