"""Writes the new call for an old one, for the owner of a tool."""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from proxy.calls import urls
from proxy.calls.call import Call, Language, NotRead, Variable, Variables
from proxy.errors import InvalidBody
from proxy.withdrawn import endpoints, run_workflows, trigger
from proxy.withdrawn.endpoints import Match

PLACEHOLDER = "/ORG/REPO/ci_workflows/WORKFLOW/trigger"
"""The path of a call whose own path is unknown."""

_BODY_HEADERS = frozenset({"content-type", "content-length"})
_JSON = ("Content-Type", "application/json")
ENCODES = re.compile("quote|encode|@uri|escape|%[0-9A-F]{2}", re.IGNORECASE)
"""What shows that an expression encodes a text for a URL."""
_BODY_FILE = "BODY.json"


class NotWithdrawn(NotRead):
    """A call that goes on working."""


class Replacement(NamedTuple):
    """The new call, and notes for the owner of the tool."""

    call: Call
    notes: list[str]


def of_call(legacy: Call) -> Replacement:
    """The new call for a call of a withdrawn endpoint. Its variables stay what they are.

    Raises:
        NotWithdrawn: it is not a call of a withdrawn endpoint.
        NotRead: it is, but it cannot be translated.
        InvalidPath, InvalidBody: it is, but not a valid one.
    """
    if legacy.problem and (not legacy.url or urls.is_withdrawn(legacy.method, legacy.url)):
        raise NotRead(legacy.problem)
    match = urls.match(legacy.method, legacy.url)
    if match is None:
        raise _not_withdrawn(legacy)
    base, _ = urls.split(legacy.url)
    successor = match.endpoint.successor.format_map(match.segments).encode("latin-1").decode()
    moved = legacy._replace(url=base + successor.replace(f"/{urls.IN_THE_VARIABLE}", ""))
    if not match.endpoint.is_trigger:
        query = legacy.url.partition("?")[1:]
        has_trigger_body = run_workflows.to_successor(legacy.body.encode()).hint == "trigger_body"
        notes = [_TRIGGER_BODY] if match.endpoint.name == "run_workflows" and has_trigger_body else []
        has_type = not (legacy.body or legacy.body_file) or legacy.header("content-type") is not None
        headers = legacy.headers if has_type else (*legacy.headers, _JSON)
        return Replacement(moved._replace(url=moved.url + "".join(query), headers=headers), notes)
    if legacy.body_file is not None:
        raise NotRead(f"its body is in the file {legacy.body_file}: translate that file with --path")
    return _of_trigger(moved, match)


def _not_withdrawn(call: Call) -> NotRead:
    if call.method != "POST" and urls.is_trigger(call.url):
        return NotRead(f"the withdrawn trigger is called with POST, not {call.method}")
    if "/ci_workflows/" in call.url:
        return NotRead(f"{call.shown(call.url)} is not all of {PLACEHOLDER.lower()}: write the rest out")
    if call.variables.keys() & {call.url, call.url.rpartition("/")[2]}:
        return NotWithdrawn(f"{call.shown(call.url)} is not the withdrawn trigger, unless its variables make it one")
    return NotWithdrawn(f"{call.shown(call.url)} is not the withdrawn trigger: its path is …{PLACEHOLDER.lower()}")


def _of_trigger(call: Call, match: Match) -> Replacement:
    body, variables = _with_list(call)
    try:
        request = trigger.to_successor(body.encode(), match.workflow or "")
    except InvalidBody as error:
        values = [variable.source for _, variable in call.variables_in(body) if variable.is_value]
        if values:
            message = f"{error} A part of the body is {', '.join(values)}: write it out."
            raise InvalidBody(message, at=error.details["at"]) from None
        raise
    headers = [header for header in call.headers if header[0].lower() not in _BODY_HEADERS]
    new = call._replace(headers=(*headers, _JSON), body=request.body.decode(), variables=variables)
    return Replacement(new, _notes(new, body, request) + _on_name(call, match.workflow or ""))


def _on_name(call: Call, name: str) -> list[str]:
    """A note where the name of the workflow is encoded for a path, as it is not in a body."""
    encoded = [variable.source for _, variable in call.variables_in(name) if ENCODES.search(variable.source)]
    return [f"{source}: the name of the workflow is in the body now, so do not encode it" for source in encoded]


def _with_list(call: Call) -> tuple[str, Mapping[str, Variable]]:
    """The body and the variables; one that stands for all inputs is put into a list, as the schema asks for a list."""
    if not any(variable.is_value for _, variable in call.variables_in(call.body)):
        return call.body, call.variables
    with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError):
        body = json.loads(call.body)
        values = body["input"]["values"]
        if isinstance(values, str) and values in call.variables:
            body["input"]["values"] = [values]
            variable = call.variables[values]._replace(is_list=True)
            return json.dumps(body, ensure_ascii=False), {**call.variables, values: variable}
    return call.body, call.variables


def of_body(body: str, base: str, path: str | None) -> Replacement:
    """The new call for a body alone, without variables.

    Args:
        body: as it was sent.
        base: address of the service.
        path: where it was sent: the part of the URL after the host.

    Raises:
        NotRead, InvalidPath, InvalidBody: as `of_call`.
    """
    if path is not None and not (path.startswith("/") and path.isprintable()):
        raise NotRead(f"{path!r} is not a valid path: give --path the part of the URL after the host, from its /")
    legacy = _call("POST", base + (path or PLACEHOLDER), body)
    if not urls.is_trigger(legacy.url):
        raise _not_withdrawn(legacy)
    replacement = of_call(legacy)
    if path is None:
        replacement.notes.append("replace ORG, REPO and WORKFLOW, or use --path, as the body does not name them")
    return replacement


def of_recorded(method: str, path: str, inputs: Iterable[str], base: str, hint: str | None = None) -> Replacement:
    """The new call for a call of any withdrawn endpoint, from its record.

    A record has neither values nor revisions, so the owner has to fill them in.

    Args:
        method: as recorded.
        path: raw, as recorded.
        inputs: names of the inputs.
        base: address of the service.
        hint: as recorded.

    Raises:
        NotRead: it is not a call of a withdrawn endpoint.
        InvalidPath: it is, but not a valid one.
    """
    match = endpoints.match(method, path)
    if match is None:
        raise NotRead(f"{method} {path} is not a withdrawn endpoint")
    successor = base + match.successor
    if not match.endpoint.is_trigger:
        return _moved(_call(method, successor, ""), hint)
    values = [{"name": name, "value": "VALUE"} for name in inputs]
    body = msgspec.json.encode({"revision": "BRANCH", "input": {"values": values}}).decode()
    return _of_trigger(_call(method, successor, body), match)


def _call(method: str, url: str, body: str) -> Call:
    """A call that takes its token from the environment."""
    variables = Variables(url, body)
    token = variables.add("$SOURCECRAFT_TOKEN", "SOURCECRAFT_TOKEN")
    headers = (("Authorization", f"Bearer {token}"),)
    return Call("curl", Language.SHELL, method, url, headers, body, variables=variables.by_character)


def _moved(call: Call, hint: str | None) -> Replacement:
    """The new call for an endpoint of which only the path has changed."""
    if call.method not in {"POST", "PATCH"}:
        return Replacement(call, [])
    call = call._replace(headers=(*call.headers, _JSON))
    if hint == "trigger_body":
        body = trigger.to_successor(b'{"revision": "BRANCH"}', "WORKFLOW").body.decode()
        return Replacement(call._replace(body=body), [_TRIGGER_BODY])
    note = f"{_BODY_FILE} is the body that the tool sends today; it does not change"
    return Replacement(call._replace(body_file=_BODY_FILE), [note])


_TRIGGER_BODY = (
    "it sends the body of the withdrawn trigger, which this endpoint ignores: revision is now head,"
    " workflow_revision is config_revision, and workflow_slug is the name of a workflow;"
    " the response has slug, and no flux_id"
)


def _notes(call: Call, body: str, request: trigger.SuccessorRequest) -> list[str]:
    notes = [f"{name}: left out, as the withdrawn endpoint ignored this field" for name in request.ignored_fields]
    if any(revision[0] in call.variables for revision in trigger.revisions(body.encode())):
        notes.append(
            "a revision is a variable, and treated as a branch: if it holds tags:NAME or a commit, "
            'write {"tag": "NAME"} or {"commit": …} instead'
        )
    return notes
