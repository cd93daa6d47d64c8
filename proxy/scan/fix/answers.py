"""What a file reads of the answer to a call, and what it has to read of the new one."""

import functools
import re
from bisect import bisect_left
from typing import NamedTuple

from proxy.calls.call import Call, Span
from proxy.scan.fix.change import Edit, Refusal

_FIELD = re.compile(r"(?<!\w)(?:flux_public_id|flux_id|trigger_status|fluxPublicId|fluxId|triggerStatus)(?!\w)")
_STATUS = frozenset({"trigger_status", "triggerStatus"})
_PROGRAM = re.compile(
    r"(?:^|[\s|;&(`])(?:[\w./-]*/)?(?P<name>jq|[ef]?grep|yq|sed|awk|cut|python3?|node|perl|ruby)(?=\s)", re.MULTILINE
)
_READS = frozenset({"jq", "grep", "egrep", "fgrep"})
_NEAR = 2000
"""How far before a field the program that reads it may be, in characters."""
_REGISTERED = re.compile(r"^\s*register\s*:", re.MULTILINE)
_NEXT_ITEM = re.compile(r"^\s*- ", re.MULTILINE)
_INDEXED = frozenset(".[\"'?(")
_FUNCTION = re.compile(r"^[ \t]*(?:function[ \t]+)?([\w-]+)[ \t]*\(\)", re.MULTILINE)
_OUTPUT = r"\s*(?:\|(?!\|)|>(?!\s*/dev/null|&))"
_GROUP = re.compile(rf"(?:\A\s*\)|[;\n&]\s*(?:\}}|done|fi)){_OUTPUT}")
_AFTER = 400
"""How far after a call the group that it is in may end, in characters."""

NO_SUCCESSOR = "trigger_status is read of its answer, and has no successor: status of the run tells how far it is"
_ELSEWHERE = "its answer goes somewhere that does not show what is read of it"
_IN_ANOTHER_WAY = "its answer is read by something other than jq or grep"
_BY_JQ = "its answer is read: look whether slug is what is needed"
_BY_GREP = "its answer is read with grep, and the new answer has more than one slug"


class Answers(NamedTuple):
    """How the answer is read: the edits that the new one needs, and why somebody has to look at them."""

    edits: tuple[Edit, ...] = ()
    caution: str | None = None


def in_shell(text: str, call: Call, where: Span) -> Answers | Refusal:
    """How commands read the answer to a call.

    Args:
        text: the file.
        call: a call with curl.
        where: where fields of its answer may stand, before or after it.
    """
    fields = list(_FIELD.finditer(text, *where))
    if any(field[0] in _STATUS for field in fields):
        return Refusal(NO_SUCCESSOR)
    if not fields:
        return Refusal(_ELSEWHERE) if _is_read(text, call, where.end) else Answers()
    programs = {_program(text, call, field.start()) for field in fields}
    if not programs <= _READS:
        return Refusal(_IN_ANOTHER_WAY)
    return Answers(_slugs(fields), _BY_JQ if programs == {"jq"} else _BY_GREP)


def in_library(text: str, where: Span) -> Answers | Refusal:
    """How code reads the answer to a call of a library."""
    fields = list(_FIELD.finditer(text, *where))
    if any(field[0] in _STATUS for field in fields):
        return Refusal(NO_SUCCESSOR)
    if not all(text[field.start() - 1] in _INDEXED for field in fields):
        return Refusal("its answer is read in a way that is not understood")
    return Answers(_slugs(fields))


def _slugs(fields: list[re.Match[str]]) -> tuple[Edit, ...]:
    return tuple(Edit(*field.span(), "slug") for field in fields)


def _is_read(text: str, call: Call, end: int) -> bool:
    """Whether the answer goes anywhere, by the call itself or by what it is in."""
    if any(words[0] in {"-o", "--output"} and words[-1] == "/dev/null" for words in call.options):
        return False
    return call.answer.is_used or _is_registered(text, call, end) or _is_captured(text, call)


def _is_registered(text: str, call: Call, end: int) -> bool:
    """Whether a task of Ansible keeps the answer."""
    following = _NEXT_ITEM.search(text, call.span.end, end)
    return bool(_REGISTERED.search(text, call.span.end, following.start() if following else end))


def _is_captured(text: str, call: Call) -> bool:
    """Whether the output of the group or of the function that the call is in goes anywhere."""
    if _GROUP.search(text[call.span.end : call.span.end + _AFTER]):
        return True
    functions = _functions(text)
    at = bisect_left(functions, (call.span.start, ""))
    return at > 0 and _is_output_read(text, functions[at - 1][1])


@functools.lru_cache(maxsize=1)
def _functions(text: str) -> list[tuple[int, str]]:
    """The functions of a script, with their places."""
    return [(found.start(), found[1]) for found in _FUNCTION.finditer(text)]


@functools.lru_cache(maxsize=64)
def _is_output_read(text: str, function: str) -> bool:
    name = re.escape(function)
    read = rf"(?:\$\(|`)\s*{name}(?![\w-])|^\s*{name}\s[^\n|]*\|(?!\|)"
    return bool(re.search(read, text, re.MULTILINE))


def _program(text: str, call: Call, at: int) -> str | None:
    """The program that is given the text at a place."""
    first = text.rfind("\n", 0, at) + 1
    while first > 0 and text.endswith(("\\\n", "\\\r\n"), 0, first) and at - first < _NEAR:
        first = text.rfind("\n", 0, first - 1) + 1
    if first <= call.span.start < at:
        first = call.span.end
    found = [match["name"] for match in _PROGRAM.finditer(text, max(first, at - _NEAR), at)]
    return found[-1] if found else None
