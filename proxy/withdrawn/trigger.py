"""Translates bodies of the withdrawn trigger, and the successor's responses back (API.md, section 4)."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from proxy.errors import InvalidAnswer, InvalidBody, UpstreamError
from proxy.withdrawn.successor import explanation_in, run_in

TriggerStatus = Literal["created", "already_exists", "nothing_to_start"]
Hint = Literal["trigger_body"]

NAMES_KEPT = 64
NAME_LENGTH = 128
"""How many names of inputs and ignored fields a record holds, and how many characters of each."""


class GitRevision(msgspec.Struct, frozen=True, omit_defaults=True):
    """The successor's revision: exactly one of the three."""

    branch: str | None = None
    tag: str | None = None
    commit: str | None = None


class _Item(msgspec.Struct, frozen=True):
    name: str


class _Input(msgspec.Struct, frozen=True):
    values: list[msgspec.Raw] | None = None


class _RunCIBody(msgspec.Struct, frozen=True):
    revision: str | None = None
    workflow_revision: str | None = None
    # A protobuf gateway takes either spelling (API.md, section 1); the other fields have only one.
    camel_revision: str | None = msgspec.field(default=None, name="workflowRevision")
    input: _Input | None = None

    @property
    def config_revision(self) -> str | None:
        return self.camel_revision if self.workflow_revision is None else self.workflow_revision


class _KnownInput(_Input, frozen=True, forbid_unknown_fields=True):
    """Without fields that the withdrawn endpoint ignored."""


class _KnownBody(_RunCIBody, frozen=True, forbid_unknown_fields=True):
    input: _KnownInput | None = None


class _Workflow(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    # Each item as it was sent: the service itself reports what is wrong inside one.
    values: list[msgspec.Raw] | None = None


class _RunWorkflowsBody(msgspec.Struct, frozen=True, omit_defaults=True):
    workflows: list[_Workflow]
    head: GitRevision | None = None
    config_revision: GitRevision | None = None


class _RunCIWorkflowResponse(msgspec.Struct, frozen=True):
    flux_id: str
    flux_public_id: str
    trigger_status: TriggerStatus


class SuccessorRequest(msgspec.Struct, frozen=True, gc=False):
    """The body for the successor, and what the caller record says of the legacy one.

    Attributes:
        hint: advice for the owner of the tool.
    """

    body: bytes
    inputs: list[str]
    ignored_fields: list[str]
    hint: Hint | None = None


class LegacyResponse(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The response for the caller, and what the caller record needs from it. Its JSON is an array (see `Tries`)."""

    status: int
    body: bytes
    run: str | None = None
    trigger_status: TriggerStatus | None = None
    run_user: str | None = None
    error_code: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether it is an error of the service's own."""
        return self.status >= 400

    @property
    def has_run(self) -> bool:
        """Whether there is a run, whatever its status."""
        return self.run is not None


# --- the request

_COMMIT = re.compile("[0-9A-Fa-f]{40}")
_run_body = msgspec.json.Decoder(_RunCIBody)
_known_body = msgspec.json.Decoder(_KnownBody)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_item = msgspec.json.Decoder(_Item)
_items = msgspec.json.Decoder(list[_Item])
_encode = msgspec.json.Encoder().encode


def to_successor(body: bytes, workflow: str) -> SuccessorRequest:
    """Translate a legacy body.

    Args:
        body: as received; the content type does not matter.
        workflow: the decoded name of the workflow, from the path.

    Raises:
        InvalidBody: the withdrawn endpoint did not accept such bodies; the message and ``details.at`` say where.
    """
    if not body.strip(b" \t\r\n"):
        body = b"{}"
    try:
        body.decode()  # msgspec does not decode raw items, and would pass on invalid UTF-8
        legacy, ignored = _understood(body)
    except msgspec.ValidationError as error:
        raise _wrong_type(error) from None
    except UnicodeDecodeError as error:
        raise InvalidBody(f"The body is not UTF-8 (byte {error.start}).", at="$") from None
    except msgspec.DecodeError as error:
        raise InvalidBody(f"The body is not JSON: {error}.", at="$") from None
    except RecursionError:
        raise InvalidBody("The body is nested too deeply.", at="$") from None

    values = legacy.input.values if legacy.input is not None else None
    request = _RunWorkflowsBody(
        workflows=[_Workflow(workflow, values or None)],
        head=revision_to_successor(legacy.revision),
        config_revision=revision_to_successor(legacy.config_revision),
    )
    return SuccessorRequest(_encode(request), input_names(values or ()), shortened(ignored))


def _understood(body: bytes) -> tuple[_RunCIBody, list[str]]:
    """Decode a legacy body, and name the fields that the withdrawn endpoint ignored. Most bodies have none.

    Raises:
        msgspec.DecodeError, RecursionError, InvalidBody: it is not what the endpoint took.
    """
    ignored: list[str] = []
    try:
        legacy: _RunCIBody = _known_body.decode(body)
    except msgspec.ValidationError:
        legacy = _run_body.decode(body)
        ignored = _ignored(legacy, body)
    if legacy.workflow_revision is not None and legacy.camel_revision is not None:
        both = "workflow_revision and workflowRevision are the same field, so send only one"
        raise InvalidBody(
            f"The body is not what this endpoint takes: {both}, at $.workflowRevision.", at="$.workflowRevision"
        )
    return legacy, ignored


def _ignored(legacy: _RunCIBody, body: bytes) -> list[str]:
    fields = _object.decode(body)
    ignored = [name for name in fields if name not in _RunCIBody.__struct_encode_fields__]
    if legacy.input is not None:
        ignored += [f"input.{name}" for name in _object.decode(fields["input"]) if name != "values"]
    return ignored


def revisions(body: bytes) -> list[str]:
    """The revisions in a legacy body that `to_successor` accepts."""
    legacy = _run_body.decode(body.strip() or b"{}")
    return [revision for revision in (legacy.revision, legacy.config_revision) if revision]


def revision_to_successor(revision: str | None) -> GitRevision | None:
    """``tags:v1`` is a tag, 40 hexadecimal digits are a commit, anything else is a branch; empty means the default."""
    if not revision:
        return None
    if revision.startswith("tags:"):
        return GitRevision(tag=revision.removeprefix("tags:"))
    if _COMMIT.fullmatch(revision):
        return GitRevision(commit=revision)
    return GitRevision(branch=revision)


def _wrong_type(error: msgspec.ValidationError) -> InvalidBody:
    text, _, place = str(error).partition(" - at ")
    place = place.strip("`") or "$"
    text = text.replace("Expected", "expected").replace(" | null", "").replace("`str`", "`string`").replace("`", "")
    return InvalidBody(f"The body is not what this endpoint takes: {text} at {place}.", at=place)


def input_names(items: Sequence[msgspec.Raw]) -> list[str]:
    """The names of inputs, as many as a record holds."""
    named = items[:NAMES_KEPT]
    try:
        return shortened([item.name for item in _items.decode(b"[%b]" % b",".join(named))])
    except (msgspec.DecodeError, RecursionError):  # one of them has none
        return shortened([name for item in named if (name := _name(item)) is not None])


def _name(item: msgspec.Raw) -> str | None:
    try:
        return _item.decode(item).name
    except (msgspec.DecodeError, RecursionError):
        return None


def shortened(names: Sequence[str]) -> list[str]:
    """As many names as a record holds, and as much of each."""
    return [name[:NAME_LENGTH] for name in names[:NAMES_KEPT]]


# --- the response

_ENDED_WELL = frozenset({"success", "skipped"})
_response = msgspec.json.Decoder(_RunCIWorkflowResponse)


def to_legacy(status: int, body: bytes) -> LegacyResponse:
    """Translate the successor's response.

    Args:
        status: of the response.
        body: of the response, without content encoding.

    Raises:
        UpstreamError: an error that explains nothing.
        InvalidAnswer: neither a run nor an error.
    """
    if 400 <= status <= 599:
        return _error_to_legacy(status, body)
    if not 200 <= status <= 299:
        raise InvalidAnswer(
            f"The service answered with status {status}, which is neither a run nor an error; "
            "the operator of the proxy should check upstream.url."
        )
    run = run_in(body)
    if run is None:
        raise InvalidAnswer("The service's response is not a run.")
    name = run.name
    if name is None:
        raise InvalidAnswer("The service's response is a run that has neither an id nor a slug.")
    nothing = run.status in _ENDED_WELL and not (run.workflows or run.error_messages)
    trigger_status: TriggerStatus = "nothing_to_start" if nothing else "created"
    return LegacyResponse(
        200,
        _encode(_RunCIWorkflowResponse(run.id or name, run.slug or "", trigger_status)),
        run=name,
        trigger_status=trigger_status,
        run_user=run.user_name,
    )


def taken_over(answer: LegacyResponse) -> LegacyResponse:
    """The response for a retry of the call that started the run; unchanged if it was not translated."""
    if answer.trigger_status is None:
        return answer
    run = msgspec.structs.replace(_response.decode(answer.body), trigger_status="already_exists")
    return msgspec.structs.replace(answer, body=_encode(run), trigger_status=run.trigger_status)


def _error_to_legacy(status: int, body: bytes) -> LegacyResponse:
    code, message = explanation_in(body)
    if code is None and message is None:
        raise UpstreamError(status)
    return LegacyResponse(status, body, error_code=code)
