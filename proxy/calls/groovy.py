"""Reads the calls in the shell commands of a Jenkinsfile."""

import re

from proxy.calls.call import Answer, Reading, placed, read_each
from proxy.calls.embedding import Embedding, Quoting, places
from proxy.calls.shell import script

STEP = re.compile(
    r"\bsh\b\s*\(?\s*(?:[\w\s:,]{0,80}\bscript\s*:\s*)?"
    r"(?P<quotes>'''|\"\"\"|'|\")(?P<text>(?:\\.|(?!(?P=quotes))[^\\])*)(?P=quotes)",
    re.DOTALL,
)
"""A step that runs a command."""

ESCAPED = "its string has escapes, which the new call needs, too"
"""What is told of a call whose string has escapes."""
_NEAR = 80
_ESCAPE = re.compile(r"\\(\r\n|.)", re.DOTALL)


def read(text: str) -> Reading:
    """Read a file, or a piece of one.

    Raises:
        NotRead: a command in it is no shell command.
    """
    return read_each(text, STEP.finditer(text), lambda step: _of_step(text, step))


def _of_step(text: str, step: re.Match[str]) -> Reading:
    quoting = Quoting.GROOVY_SINGLE if "'" in step["quotes"] else Quoting.GROOVY_DOUBLE
    value = unescaped(step["text"])
    embedding = Embedding(quoting, step.start("quotes"), step.end())
    found = placed(script.read(value), text, embedding, places(value, text, *step.span("text"), quoting))
    guesses = () if value == step["text"] else (ESCAPED,)
    is_returned = "returnStdout" in step[0] + text[step.end() : step.end() + _NEAR].partition(")")[0]
    calls = [
        call._replace(guesses=(*call.guesses, *guesses), answer=Answer(call.answer.is_used or is_returned))
        for call in found.calls
    ]
    return Reading(tuple(calls), found.others)


def unescaped(text: str) -> str:
    """What the inside of a string stands for."""
    return _ESCAPE.sub(_character, text)


def _character(escape: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "\n": "", "\r\n": ""}.get(escape[1], escape[1])
