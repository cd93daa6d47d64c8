"""The new call for an old one, as the owner of a tool would write it down."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from proxy.curl import LITERAL_DOLLAR, Curl, CurlError
from proxy.withdrawn import endpoints, trigger

PLACEHOLDER = "/ORG/REPO/ci_workflows/WORKFLOW/trigger"
"""Where a call goes that does not say where."""

_BODY_HEADERS = frozenset({"content-type", "content-length"})
_TOKEN = ("Authorization", "Bearer $SOURCECRAFT_TOKEN")
_JSON = ("Content-Type", "application/json")
_BODY_FILE = "BODY.json"


class Replacement(NamedTuple):
    """The new call, and what its owner should know of it."""

    call: Curl
    notes: list[str]


def of_call(legacy: Curl) -> Replacement:
    """The call of the successor that does what a call of the withdrawn trigger did.

    A ``$`` that the shell expands stays one, wherever it stands.

    Raises:
        CurlError: it is no call of the trigger.
        InvalidPath, InvalidBody: it is a wrong one.
    """
    base, path = _split(legacy.url)
    # A workflow is named in the body next, where a decoded %24 must not become a shell variable.
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
    """The same for a body alone, which the shell does not touch.

    Args:
        body: as it was sent.
        base: address of the service.
        path: where it was sent, from the ``/`` behind the host on.

    Raises:
        CurlError, InvalidPath, InvalidBody: as `of_call`.
    """
    if path is not None and not (path.startswith("/") and path.isprintable()):
        raise CurlError(f"{path!r} is no path: give --path what follows the host, from its / on")
    literal = body.replace("$", LITERAL_DOLLAR)
    replacement = of_call(Curl("POST", base + (path or PLACEHOLDER), (_TOKEN,), literal))
    if path is None:
        nowhere = "a body does not say where it went: put your own for ORG, REPO and WORKFLOW, or give --path"
        replacement.notes.append(nowhere)
    return replacement


def of_recorded(method: str, path: str, inputs: Iterable[str], base: str, hint: str | None = None) -> Replacement:
    """The same for a call of any withdrawn endpoint, of which only its record is left.

    A record has no values and no revisions, so that the owner has to put in its own.

    Args:
        method: as recorded.
        path: raw, as recorded.
        inputs: names of the inputs.
        base: address of the service.
        hint: as recorded.

    Raises:
        CurlError: it is no call of a withdrawn endpoint.
        InvalidPath: it is a wrong one.
    """
    match = endpoints.match(method, path)
    if match is None:
        raise CurlError(f"{method} {path} is none of the withdrawn endpoints")
    successor = base + match.successor.replace("$", LITERAL_DOLLAR)
    if not match.endpoint.is_trigger:
        return _moved(Curl(method, successor, (_TOKEN,), ""), hint)
    values = [{"name": name, "value": "VALUE"} for name in inputs]
    body = msgspec.json.encode({"revision": "BRANCH", "input": {"values": values}}).decode()
    legacy = Curl(method, path.replace("$", LITERAL_DOLLAR), (_TOKEN,), body.replace("$", LITERAL_DOLLAR))
    call, notes = of_call(legacy)
    return Replacement(call._replace(url=successor), notes)


def _moved(call: Curl, hint: str | None) -> Replacement:
    """The call of an endpoint of which only the path has changed, with what goes into its body."""
    if call.method not in {"POST", "PATCH"}:
        return Replacement(call, [])
    call = call._replace(headers=(*call.headers, _JSON))
    if hint == "trigger_body":
        body = trigger.to_successor(b'{"revision": "BRANCH"}', "WORKFLOW").body.decode()
        return Replacement(call._replace(body=body), [_TRIGGER_BODY])
    note = f"{_BODY_FILE} holds the body that it sends today, which stays as it is"
    return Replacement(call._replace(body=f"@{_BODY_FILE}"), [note])


_TRIGGER_BODY = (
    "it sends the body of the withdrawn trigger, which this endpoint ignores: revision has become head,"
    " workflow_revision config_revision, and workflow_slug the name of a workflow; the answer has slug, and no flux_id"
)


def _notes(body: str, request: trigger.SuccessorRequest) -> list[str]:
    notes = [f"{name}: the withdrawn endpoint ignored this field, so it is left out" for name in request.ignored_fields]
    if any(revision.startswith("$") for revision in trigger.revisions(body.encode())):
        notes.append(
            "a revision is a shell variable, taken for a branch here: where it holds tags:NAME or a commit, "
            'write {"tag": "NAME"} or {"commit": …} instead'
        )
    return notes


def _split(url: str) -> tuple[str, str]:
    """The base address, which may be a shell variable, and the path."""
    scheme, separator, rest = url.partition("?")[0].rpartition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator + host, slash + path
