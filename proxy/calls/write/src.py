"""Writes a call as ``src run trigger``, of the service's own command line.

Its flags are those of https://sourcecraft.dev/portal/docs/en/cli-ref/src-run-trigger, as published in November 2026.
"""

from typing import Annotated, Any, Literal

import msgspec

from proxy.calls import urls
from proxy.calls.call import Call, NotRead
from proxy.calls.write.shell import Words
from proxy.calls.write.written import Written, left_out

Kind = Literal["branch", "tag", "commit"]


class _Workflow(msgspec.Struct):
    name: str
    values: list[Any] = []


class _Body(msgspec.Struct):
    workflows: Annotated[list[_Workflow], msgspec.Meta(min_length=1, max_length=1)]
    head: dict[Kind, str] = {}
    config_revision: dict[Kind, str] = {}
    shared: bool = False


_REVISIONS: dict[Kind, str] = {"branch": "ref", "tag": "tag", "commit": "commit"}


def write(call: Call) -> Written:
    """Write a new call that starts a run.

    Raises:
        NotRead: ``src`` cannot do what the call does.
    """
    base, path = urls.split(call.url)
    segments = path.split("/")
    if call.method != "POST" or segments[-2:] != ["cicd", "runs"] or not call.body:
        raise NotRead("src run trigger only starts runs: choose another --to")
    is_one_variable = len(segments) == 5 and segments[2] in call.variables
    if len(segments) != 6 and not is_one_variable:
        raise NotRead("src names a repository as ORG/REPO, not by its ID: choose another --to, or look its name up")
    words = Words(call)
    body = _body(call)
    (workflow,) = body.workflows
    parts = ["src run trigger", words.quote(_positional(workflow.name))]
    parts += [words.quote(_parameter(item, call)) for item in workflow.values]
    parts += [f"--{_REVISIONS[kind]} {words.quote(name)}" for kind, name in body.head.items()]
    parts += [f"--cfg-{_REVISIONS[kind]} {words.quote(name)}" for kind, name in body.config_revision.items()]
    parts += ["--shared"] if body.shared else []
    parts.append(f"-R {words.quote('/'.join(segments[2:-2]))}")
    parts += ["--json"] if call.answer.is_used else []
    notes = ["src uses its own login (src auth login), and no token from the call"]
    if not body.head:
        notes.append("--ref: the old call ran on the default branch, and src runs on the current one: add --ref BRANCH")
    if base != urls.SERVICE:
        notes.append(f"{call.shown(base)}: src calls the service that it is set up for")
    return Written(" ".join(parts), notes + left_out(call) + words.notes())


def _body(call: Call) -> _Body:
    try:
        return msgspec.json.decode(call.body, type=_Body)
    except (msgspec.DecodeError, RecursionError):
        raise NotRead("src run trigger starts one workflow by its name: choose another --to") from None


def _positional(text: str) -> str:
    if text.startswith("-"):
        raise NotRead(f"src would take {text} for an option: choose another --to")
    return text


def _parameter(item: Any, call: Call) -> str:
    is_pair = isinstance(item, dict) and item.keys() == {"name", "value"}
    if not is_pair or not all(isinstance(text, str) for text in item.values()):
        raise NotRead("src takes inputs as name=value, and one of these is not a pair of texts: choose another --to")
    if "=" in item["name"]:
        raise NotRead(f"src cannot take an input whose name has =, such as {call.shown(item['name'])}")
    return _positional(f"{item['name']}={item['value']}")
