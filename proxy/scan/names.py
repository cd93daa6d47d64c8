"""Finds the names of generated clients (API.md, section 5), in the spelling of any language."""

import re
from collections.abc import Iterator
from functools import cached_property

from proxy.scan.finding import Confidence, Hit
from proxy.scan.nearby import Nearby
from proxy.withdrawn.endpoints import BY_NAME

_TRIGGERS = {"runworkflow": "trigger", "runworkflowbyid": "trigger_by_id"}
_DEPRECATED = {
    **_TRIGGERS,
    "runworkflows": "run_workflows",
    "listruns": "list_runs",
    "getrun": "get_run",
    "getworkflow": "get_workflow",
    "getcubelogs": "get_logs",
    "getcubeartifacts": "get_artifacts",
    "updaterepository": "update_repository",
    "deleterepository": "delete_repository",
}
_SPELLINGS = (
    "[rR]unWorkflow(?:s|ByI[Dd])?",
    "run_workflow(?:s|_by_id)?",
    "(?:[lL]istRuns|[gG]etRun|[gG]etWorkflow|[gG]etCubeLogs|[gG]etCubeArtifacts|[uU]pdateRepository|[dD]eleteRepository)(?=Deprecated)",
    "(?:list_runs|get_run|get_workflow|get_cube_logs|get_cube_artifacts|update_repository|delete_repository)(?=_deprecated)",
)
_NAME = re.compile(
    rf"(?<![\w$])(?P<name>{'|'.join(_SPELLINGS)})(?P<deprecated>_?[dD]eprecated)?"
    r"(?:WithHttpInfo|_with_http_info|Async|Raw|Call|Request)?(?![\w$])"
)
_CLIENT = re.compile("(?i:withdrawn_?api)|CI_?A(?:pi|PI)|ci_api")
"""The classes that have these methods, and their modules."""
_BODY = re.compile(r"(?<!\w)(?:run_ci_body|[rR]unCIBody|RunCiBody)(?!\w)")
_WORKFLOW = re.compile("workflowName")
_REPOSITORY = re.compile(r"(?i:\brepo)")
_AROUND = 400
_OLD_SDK = "runWorkflows of version 0.1.4 of the TypeScript SDK calls a withdrawn path"


def find_names(text: str) -> Iterator[Hit]:
    """Find calls through a generated client."""
    if not any(stem in text for stem in ("un_workflow", "unWorkflow", "eprecated")):
        return
    company = _Company(text)
    for match in _NAME.finditer(text):
        name = match["name"].replace("_", "").lower()
        if match["deprecated"]:
            confidence = Confidence.CERTAIN if company.has_client or name in _TRIGGERS else Confidence.LIKELY
            yield _hit(match, _DEPRECATED[name], confidence)
        elif name in _TRIGGERS and (found := company.confidence(match)):
            yield _hit(match, _TRIGGERS[name], found)
        elif name == "runworkflows" and company.has_client and match["name"] == "runWorkflows":
            yield Hit(*match.span(), "run_workflows", "POST", _advice("run_workflows", _OLD_SDK), Confidence.LOOK)


class _Company:
    """What stands beside a common name, which others have, too."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def has_client(self) -> bool:
        return bool(_CLIENT.search(self._text))

    @cached_property
    def _near(self) -> tuple[Nearby, Nearby, Nearby]:
        return Nearby(_BODY, self._text), Nearby(_WORKFLOW, self._text), Nearby(_REPOSITORY, self._text)

    def confidence(self, match: re.Match[str]) -> Confidence | None:
        """How sure it is that the name is that of our client."""
        around = match.start() - _AROUND, match.end() + _AROUND
        bodies, workflows, repositories = self._near
        if self.has_client or bodies.has(*around):
            return Confidence.CERTAIN
        # Other engines run a workflow by its name, too, but not that of a repository.
        is_ours = "_" not in match["name"] and workflows.has(*around) and repositories.has(*around)
        return Confidence.LIKELY if is_ours else None


def _hit(match: re.Match[str], endpoint: str, confidence: Confidence) -> Hit:
    note = _OLD_SDK if endpoint in _TRIGGERS.values() else ""
    return Hit(*match.span(), endpoint, BY_NAME[endpoint].method, _advice(endpoint, note), confidence)


def _advice(endpoint: str, note: str) -> str:
    successor = f"{BY_NAME[endpoint].method} {BY_NAME[endpoint].successor}"
    return f"{successor} ({note})" if note else successor
