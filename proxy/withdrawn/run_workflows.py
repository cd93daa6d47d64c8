"""The withdrawn ``POST /{org}/{repo}/cicd/runs``: the same call under a new path (API.md, section 5).

Both bodies go on as they came, right or wrong. They are read for the caller record alone, and for retries.
"""

import msgspec

from proxy.withdrawn.successor import explanation_in, run_in
from proxy.withdrawn.trigger import LegacyAnswer, SuccessorRequest, input_names, shortened

# In both spellings, as a protobuf gateway takes them.
_KNOWN = frozenset({"head", "config_revision", "configRevision", "workflows", "shared"})
# What clients of the trigger send to it, be it right or wrong.
_OF_THE_TRIGGER = frozenset({"revision", "workflow_revision", "workflowRevision", "input", "inputs", "workflow_slug"})


class _Workflow(msgspec.Struct, frozen=True):
    values: list[msgspec.Raw] | None = None


_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_workflows = msgspec.json.Decoder(list[_Workflow] | None)


def to_successor(body: bytes) -> SuccessorRequest:
    """The same body, with what the caller record says of it; nothing is raised."""
    try:
        body.decode()
        fields = _object.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return SuccessorRequest(body, [], [])
    workflows = _workflows_in(fields)
    inputs = [item for workflow in workflows for item in workflow.values or ()]
    is_the_triggers = not workflows and not _OF_THE_TRIGGER.isdisjoint(fields)
    return SuccessorRequest(
        body,
        input_names(inputs),
        shortened([name for name in fields if name not in _KNOWN]),
        "trigger_body" if is_the_triggers else None,
    )


def _workflows_in(fields: dict[str, msgspec.Raw]) -> list[_Workflow]:
    try:
        return _workflows.decode(fields.get("workflows", b"null")) or []
    except (msgspec.DecodeError, RecursionError):
        return []


def to_legacy(status: int, body: bytes) -> LegacyAnswer:
    """The same answer, with what the caller record says of it; nothing is raised.

    Args:
        status: HTTP status of the answer.
        body: the answer's body, its content encoding undone.
    """
    if status >= 400:
        return LegacyAnswer(status, body, error_code=explanation_in(body).code)
    run = run_in(body) if status < 300 else None
    if run is None:
        return LegacyAnswer(status, body)
    return LegacyAnswer(status, body, run=run.name, run_user=run.user_name)
