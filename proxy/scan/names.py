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
    "(?:[lL]istRuns|[gG]et(?:Run|Workflow|CubeLogs|CubeArtifacts)|[uU]pdateRepository|[dD]eleteRepository)(?=Deprecated)",
    "(?:list_runs|get_(?:run|workflow|cube_logs|cube_artifacts)|update_repository|delete_repository)(?=_deprecated)",
)
_NAME = re.compile(
    rf"(?<![\w$])(?P<name>{'|'.join(_SPELLINGS)})(?P<deprecated>_?[dD]eprecated)?"
    r"(?:WithHttpInfo|_with_http_info|Async|Raw|Call|Request)?(?![\w$])"
)
_CLIENT = re.compile("(?i:withdrawn_?api)|(?<![A-Za-z])(?:CIA(?:pi|PI)|ci_api)(?![a-z])")
"""The classes that have these methods, and their modules."""
_SDK = re.compile(r"(?<=\.)(?P<name>runWorkflows|listRuns|get(?:Run|Workflow|CubeLogs|CubeArtifacts))(?:Raw)?(?=\s?\()")
"""Methods of the class ``CICDApi``, whose names are those of current calls."""
_BODY = re.compile(r"(?<!\w)(?:run_ci_body|[rR]unCIBody|RunCiBody)(?!\w)")
_WORKFLOW = re.compile("workflowName")
_REPOSITORY = re.compile(r"(?i:\brepo)")
_AROUND = 400
_OLD_SDK = "runWorkflows of version 0.1.4 of the TypeScript SDK calls a withdrawn path"
_LOOK_AT_SDK = "version 0.1.4 of the TypeScript SDK calls a withdrawn path with this name"


def find_names(text: str) -> Iterator[Hit]:
    """Find calls through a generated client."""
    if "CICDApi" in text and "sourcecraft" in text.lower():
        for match in _SDK.finditer(text):
            yield _hit(match, _DEPRECATED[match["name"].lower()], Confidence.LOOK, _LOOK_AT_SDK)
    if not any(stem in text for stem in ("un_workflow", "unWorkflow", "eprecated")):
        return
    company = _Company(text)
    for match in _NAME.finditer(text):
        name = match["name"].replace("_", "").lower()
        if match["deprecated"]:
            confidence = Confidence.CERTAIN if company.has_client or name in _TRIGGERS else Confidence.LIKELY
            yield _hit(match, _DEPRECATED[name], confidence, _OLD_SDK if name in _TRIGGERS else "")
        elif name in _TRIGGERS and (found := company.confidence(match)):
            yield _hit(match, _TRIGGERS[name], found, _OLD_SDK)


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


def _hit(match: re.Match[str], name: str, confidence: Confidence, note: str) -> Hit:
    endpoint = BY_NAME[name]
    successor = f"{endpoint.method} {endpoint.successor}{f' ({note})' if note else ''}"
    return Hit(*match.span(), name, endpoint.method, successor, confidence)
