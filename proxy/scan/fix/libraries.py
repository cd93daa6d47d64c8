"""Changes calls of libraries in Python and JavaScript: their URL, and the value that their body is made of."""

import re

from proxy.calls.call import Call, Language, Parts, Span
from proxy.calls.write import javascript, python
from proxy.scan.fix import answers, revisions
from proxy.scan.fix.change import Change, Edit, Refusal
from proxy.scan.fix.revisions import join
from proxy.scan.fix.source import newline_of

_LIBRARIES = re.compile(r"(?:requests|httpx|axios)\b|fetch\Z|(?i:.*(?:session|client|http))")
_HEADER = '"Content-Type": "application/json", '
_CODE = "what the code does with the answer cannot be checked"


def change_of(text: str, old: Call, new: Call, answer: Span) -> Change | Refusal:
    """The change that makes an old call a new one.

    Args:
        text: the file.
        old: the call.
        new: what it is to become.
        answer: where fields of its answer may stand.
    """
    parts = old.parts
    if parts is None or not _LIBRARIES.match(old.program) or old.program.endswith(("Request", "urlopen")):
        return Refusal(f"calls with {old.tool} are not changed")
    if not _is_written_out(text, old, parts):
        return Refusal("its URL or its body is in a variable")
    read = answers.in_library(text, answer)
    if isinstance(read, Refusal):
        return read
    writer = python if old.language is Language.PYTHON else javascript
    url, body = writer.url_and_body(new)
    edits = _body(text, parts, body, is_python=writer is python)
    if isinstance(edits, Refusal):
        return edits
    header = () if parts.is_encoded or old.header("content-type") else _header(text, parts)
    if header is None:
        return Refusal("it does not say that it sends JSON, as the new endpoint asks")
    url_edit = Edit(*parts.url, url)
    if edits[0].start == parts.url.end:
        edits = [edits[0]._replace(start=url_edit.start, text=url + edits[0].text)]
    else:
        edits.append(url_edit)
    return Change((*edits, *header, *read.edits), old, new, join(_CODE, revisions.caution(old)))


def _is_written_out(text: str, call: Call, parts: Parts) -> bool:
    words = set(re.findall(r"\w+", text[slice(*parts.url)] + " " + (text[slice(*parts.body)] if parts.body else "")))
    return not any(words.issuperset(re.findall(r"\w+", name)) for name in call.resolved)


def _body(text: str, parts: Parts, body: str, *, is_python: bool) -> list[Edit] | Refusal:
    if parts.body is not None:
        if text[parts.body.start] in "\"'`frb":
            return Refusal("its body is a text: let the library make JSON of a value")
        line = text.rfind("\n", 0, parts.body.start) + 1
        indent = re.match(r"[ \t]*", text[line:])
        lines = body.split("\n")
        return [Edit(*parts.body, f"{newline_of(text)}{indent[0] if indent else ''}".join(lines))]
    if is_python:
        return [Edit(parts.url.end, parts.url.end, f", json={body}")]
    return Refusal("it has no body to change")


def _header(text: str, parts: Parts) -> tuple[Edit, ...] | None:
    if parts.headers is None or text[parts.headers.start] != "{":
        return None
    at = parts.headers.start + 1
    return (Edit(at, at, f" {_HEADER.rstrip()}" if text[at : at + 1] == " " else _HEADER),)
