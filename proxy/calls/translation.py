"""Translates each call in a text, and says what its owner has to do."""

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from proxy.calls import reader, replacement
from proxy.calls.call import Call, NotRead, Other
from proxy.calls.reader import Kind
from proxy.calls.replacement import NotWithdrawn
from proxy.calls.write import new_call
from proxy.calls.write.written import Target
from proxy.errors import ProxyError

Load = Callable[[str], str | None]
"""Reads a file that a call sends; None if that is not possible."""

_FIELDS = {
    "flux_public_id": "it is slug in the new answer",
    "flux_id": "it is id in the new answer, which can be empty: read slug",
    "trigger_status": "it is gone; the new answer has status, which says how far the run is",
}
_SHELL = "curl, wget or HTTPie"
_READ = {
    Kind.PYTHON: "requests, httpx, aiohttp or urllib.request",
    Kind.JAVASCRIPT: "fetch or axios",
    Kind.POWERSHELL: "Invoke-RestMethod or Invoke-WebRequest",
}
_WITHDRAWN = re.compile(r"ci_workflows")
_COMMENT = re.compile(r"\s*(?:#|//|REM\b)")
_SHOWN = 3


class Result(NamedTuple):
    """What became of one call.

    Attributes:
        line: where it starts; 1 for the first line.
        old: the call.
        new: the new call, if there is one.
        text: the new call as it is printed.
        notes: what its owner has to do.
        problem: why there is no new call.
        still_works: whether the call is not withdrawn.
    """

    line: int
    old: Call
    new: Call | None = None
    text: str = ""
    notes: tuple[str, ...] = ()
    problem: str | None = None
    still_works: bool = False


class Translation(NamedTuple):
    """What became of a text.

    Attributes:
        kind: what the text was taken for.
        results: one for each call, in their order.
        notes: what else is in the text.
    """

    kind: Kind
    results: list[Result]
    notes: list[str]


def translate(text: str, target: Target | None, name: str = "", load: Load = lambda _: None) -> Translation:
    """Translate the calls in a text.

    Args:
        text: source code.
        target: what to write them for; None for the body alone.
        name: of the file, if there is one.
        load: reads the files that calls send.

    Raises:
        NotRead: the text cannot be read, or has no calls.
    """
    kind, (calls, others) = reader.read(text, name)
    if not calls:
        raise NotRead(f"taken for {kind.value}, and not translated: it has no call with {_READ.get(kind, _SHELL)}")
    results = [_result(text, call, target, load) for call in calls]
    return Translation(kind, results, [*_others(others, text), *_overlooked(text, calls)])


def _result(text: str, old: Call, target: Target | None, load: Load) -> Result:
    line = text.count("\n", 0, old.span.start) + 1
    try:
        call, loaded = _loaded(old, load)
        new, notes = replacement.of_call(call)
        written = new_call.write(new, target) if target else None
    except NotWithdrawn as error:
        return Result(line, old, problem=str(error), still_works=True)
    except (NotRead, ProxyError) as error:
        return Result(line, old, problem=old.shown(f"taken for {old.tool}, and not translated: {error}"))
    notes = [*_on_reading(old), *loaded, *notes, *_on_answer(old)]
    if written and target is not Target.SRC and not old.may_authorize:
        notes.append("no Authorization header: the service needs 'Authorization: Bearer TOKEN'")
    notes += written.notes if written else []
    return Result(line, old, new, written.text if written else "", tuple(map(new.shown, notes)))


def _loaded(call: Call, load: Load) -> tuple[Call, list[str]]:
    """A call with the content of the file that it sends."""
    content = load(call.body_file) if call.body_file is not None else None
    if content is None or set(content) & call.variables.keys():
        return call, []
    note = f"{call.body_file}: its content was read, and stands in the new call now"
    return call._replace(body=content, body_file=None), [note]


def _on_reading(call: Call) -> list[str]:
    notes = list(call.guesses)
    if call.resolved:
        notes.append(f"{', '.join(dict.fromkeys(call.resolved))}: now part of the new call")
    if call.prefix.strip("- "):
        prefix = re.sub(r"=\S+", "=…", call.prefix)  # what is assigned may be secret
        notes.append(f"{prefix}: keep it before the new call")
    return notes


def _on_answer(call: Call) -> list[str]:
    return [f"{field}: {_FIELDS[_snake(field)]}" for field in call.answer.fields]


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _others(others: tuple[Other, ...], text: str) -> list[str]:
    """A note on the commands that are no calls."""
    if not others:
        return []
    shown = [f"line {text.count(chr(10), 0, other.start) + 1} {other.program}" for other in others[:_SHOWN]]
    more = f", and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return [f"left out, since these are not calls: {', '.join(shown)}{more}"]


def _overlooked(text: str, calls: tuple[Call, ...]) -> list[str]:
    """A note on each withdrawn path that is in no call."""
    names = {re.sub(r"\W", "", name) for call in calls for name in call.resolved}
    starts = [call.span.start for call in calls]
    lines = text.split("\n")
    notes = []
    for found in _WITHDRAWN.finditer(text):
        number = text.count("\n", 0, found.start())
        line = lines[number]
        before = bisect_right(starts, found.start())
        is_read = before > 0 and found.start() < calls[before - 1].span.end
        if not is_read and not _COMMENT.match(line) and not names & set(re.split(r"\W+", line)):
            notes.append(f"line {number + 1}: it has a withdrawn path, and was not read as a call: look at it")
    return list(dict.fromkeys(notes))
