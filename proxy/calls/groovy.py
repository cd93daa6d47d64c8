"""Reads the calls in the shell commands of a Jenkinsfile."""

import re

from proxy.calls.call import Call, NotRead, Other, Reading, Span, in_order
from proxy.calls.shell import script

_STEP = re.compile(
    r"\bsh\b\s*\(?\s*(?:[\w\s:,]{0,80}\bscript\s*:\s*)?"
    r"(?P<quotes>'''|\"\"\"|'|\")(?P<text>(?:\\.|(?!(?P=quotes))[^\\])*)(?P=quotes)",
    re.DOTALL,
)
_ESCAPED = "its string has escapes, which the new call needs, too"
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def read(text: str) -> Reading:
    """Read a file, or a piece of one.

    Raises:
        NotRead: a command in it is no shell command.
    """
    calls: list[Call] = []
    others: list[Other] = []
    problems: list[NotRead] = []
    for step in _STEP.finditer(text):
        try:
            found = _of_step(text, step)
        except NotRead as error:
            problems.append(error)
        else:
            calls += found.calls
            others += found.others
    if problems and not calls:
        raise problems[0]
    return in_order(text, calls, others)


def _of_step(text: str, step: re.Match[str]) -> Reading:
    start, end = step.span("text")
    if "\\" not in step["text"]:
        return script.read(text, start=start, end=end)
    # With escapes, the command stands nowhere in the file: the span is that of the string.
    found = script.read(_ESCAPE.sub(_unescaped, step["text"]))
    span = Span(step.start("quotes"), step.end())
    return Reading(
        tuple(call._replace(span=span, is_in_string=True, guesses=(*call.guesses, _ESCAPED)) for call in found.calls),
        tuple(Other(start, other.program) for other in found.others),
    )


def _unescaped(escape: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "\n": ""}.get(escape[1], escape[1])
