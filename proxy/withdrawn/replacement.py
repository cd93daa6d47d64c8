"""Writes the new call for an old one, for the owner of a tool."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from proxy.withdrawn import endpoints, trigger
from proxy.withdrawn.curl import LITERAL_DOLLAR, Curl, CurlError

PLACEHOLDER = "/ORG/REPO/ci_workflows/WORKFLOW/trigger"
"""The path of a call whose own path is unknown."""

_BODY_HEADERS = frozenset({"content-type", "content-length"})
_TOKEN = ("Authorization", "Bearer $SOURCECRAFT_TOKEN")
_JSON = ("Content-Type", "application/json")
_BODY_FILE = "BODY.json"


class Replacement(NamedTuple):
    """The new call, and notes for the owner of the tool."""

    call: Curl
    notes: list[str]


def of_call(legacy: Curl) -> Replacement:
    """Translate a call of the withdrawn trigger to a call of its successor.

    A ``$`` that the shell expands is kept everywhere.

    Raises:
        CurlError: it is not a call of the trigger.
        InvalidPath, InvalidBody: it is, but not a valid one.
    """
    base, path = _split(legacy.url)
    # The name of the workflow moves into the body, where a decoded %24 must not become a shell variable.
    match = endpoints.match("POST", path.replace("%24", LITERAL_DOLLAR).encode().decode("latin-1"))
    if match is None or not match.endpoint.is_trigger:
        raise CurlError(f"{legacy.url} is not the withdrawn trigger: its path is …{PLACEHOLDER.lower()}")
    if legacy.method != "POST":
        raise CurlError(f"the withdrawn trigger is called with POST, not {legacy.method}")
    request = trigger.to_successor(legacy.body.encode(), match.workflow or "")
    successor = match.endpoint.successor.format_map(match.segments).encode("latin-1").decode()
    headers = [header for header in legacy.headers if header[0].lower() not in _BODY_HEADERS]
    headers.append(_JSON)
    call = Curl("POST", base + successor, tuple(headers), request.body.decode())
    return Replacement(call, _notes(legacy.body, request))


def of_body(body: str, base: str, path: str | None) -> Replacement:
    """Translate a body alone. The shell expands nothing in it.

    Args:
        body: as it was sent.
        base: address of the service.
        path: where it was sent: the part of the URL after the host.

    Raises:
        CurlError, InvalidPath, InvalidBody: as `of_call`.
    """
    if path is not None and not (path.startswith("/") and path.isprintable()):
        raise CurlError(f"{path!r} is not a valid path: give --path the part of the URL after the host, from its /")
    literal = body.replace("$", LITERAL_DOLLAR)
    replacement = of_call(Curl("POST", base + (path or PLACEHOLDER), (_TOKEN,), literal))
    if path is None:
        replacement.notes.append("replace ORG, REPO and WORKFLOW, or use --path, as the body does not name them")
    return replacement


def of_recorded(method: str, path: str, inputs: Iterable[str], base: str, hint: str | None = None) -> Replacement:
    """Translate a call of any withdrawn endpoint from its record.

    A record has neither values nor revisions, so the owner has to fill them in.

    Args:
        method: as recorded.
        path: raw, as recorded.
        inputs: names of the inputs.
        base: address of the service.
        hint: as recorded.

    Raises:
        CurlError: it is not a call of a withdrawn endpoint.
        InvalidPath: it is, but not a valid one.
    """
    match = endpoints.match(method, path)
    if match is None:
        raise CurlError(f"{method} {path} is not a withdrawn endpoint")
    successor = base + match.successor.replace("$", LITERAL_DOLLAR)
    if not match.endpoint.is_trigger:
        return _moved(Curl(method, successor, (_TOKEN,), ""), hint)
    values = [{"name": name, "value": "VALUE"} for name in inputs]
    body = msgspec.json.encode({"revision": "BRANCH", "input": {"values": values}}).decode()
    legacy = Curl(method, path.replace("$", LITERAL_DOLLAR), (_TOKEN,), body.replace("$", LITERAL_DOLLAR))
    call, notes = of_call(legacy)
    return Replacement(call._replace(url=successor), notes)


def _moved(call: Curl, hint: str | None) -> Replacement:
    """The new call for an endpoint of which only the path has changed."""
    if call.method not in {"POST", "PATCH"}:
        return Replacement(call, [])
    call = call._replace(headers=(*call.headers, _JSON))
    if hint == "trigger_body":
        body = trigger.to_successor(b'{"revision": "BRANCH"}', "WORKFLOW").body.decode()
        return Replacement(call._replace(body=body), [_TRIGGER_BODY])
    note = f"{_BODY_FILE} is the body that the tool sends today; it does not change"
    return Replacement(call._replace(body=f"@{_BODY_FILE}"), [note])


_TRIGGER_BODY = (
    "it sends the body of the withdrawn trigger, which this endpoint ignores: revision is now head,"
    " workflow_revision is config_revision, and workflow_slug is the name of a workflow;"
    " the response has slug, and no flux_id"
)


def _notes(body: str, request: trigger.SuccessorRequest) -> list[str]:
    notes = [f"{name}: left out, as the withdrawn endpoint ignored this field" for name in request.ignored_fields]
    if any(revision.startswith("$") for revision in trigger.revisions(body.encode())):
        notes.append(
            "a revision is a shell variable, and treated as a branch: if it holds tags:NAME or a commit, "
            'write {"tag": "NAME"} or {"commit": …} instead'
        )
    return notes


def _split(url: str) -> tuple[str, str]:
    """The base address, which may be a shell variable, and the path."""
    scheme, separator, rest = url.partition("?")[0].rpartition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator + host, slash + path
