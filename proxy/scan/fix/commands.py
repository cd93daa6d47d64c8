"""Changes calls with curl in shell commands, wherever these stand."""

import re

from proxy.calls import groovy
from proxy.calls.call import Call, Language, NotRead, Span, Variables
from proxy.calls.embedding import Embedding, Quoting, encode
from proxy.calls.shell.lexer import Kind, Lexer
from proxy.calls.write import curl
from proxy.scan.fix import answers, revisions
from proxy.scan.fix.change import Change, Edit, Refusal
from proxy.scan.fix.revisions import join
from proxy.scan.fix.source import newline_of

_SECOND_LINE = re.compile(r"\n([ \t]*)")
_TEMPLATE = re.compile(r"\$[\w({$]|`")
_QUOTE_IN_TEMPLATE = re.compile(r"\{\{[^{}]*['\"\\`$][^{}]*\}\}")
_NOT_PLAIN = re.compile(r":(?:\s|\Z)|\s#")
_DOLLAR = re.compile(r"\$(?:\{[^}]*\}|\w+|[(@*#?!$-])")

_ESCAPED = "it is in a string with escapes that cannot be written again safely"
_MIXED = "a variable in single quotes would come to stand between double quotes"


def change_of(text: str, old: Call, new: Call, answer: Span) -> Change | Refusal:
    """The change that makes an old call with curl a new one.

    Args:
        text: the file.
        old: the call.
        new: what it is to become.
        answer: where fields of its answer may stand.
    """
    if problem := _problem(text, old, new):
        return Refusal(problem)
    read = answers.in_shell(text, old, answer)
    if isinstance(read, Refusal):
        return read
    written = _written(text, old, new)
    edits = _embedded(text, old, written) if old.embedding else (Edit(*old.span, written),)
    if edits is None:
        return Refusal(_ESCAPED)
    return Change((*edits, *read.edits), old, new, join(read.caution, revisions.caution(old)))


def _problem(text: str, old: Call, new: Call) -> str | None:
    if old.tool != "curl" or old.language is not Language.SHELL:
        return f"only calls with curl are changed, and this is one with {old.tool}"
    if old.resolved:
        return f"{', '.join(dict.fromkeys(old.resolved))}: the call takes it from another place in the file"
    if guesses := [guess for guess in old.guesses if guess != groovy.ESCAPED]:
        return guesses[0]
    if old.embedding and not old.embedding.is_exact:
        return _ESCAPED
    if not old.embedding and _has_more_than_words(text, old):
        return "something other than its arguments stands between them, such as a redirection"
    texts = [new.url, new.body, *(part for pair in (*new.headers, *new.options) for part in pair)]
    if any(_TEMPLATE.search(part) and any(new.variables_in(part)) for part in texts):
        return _MIXED
    if any(_QUOTE_IN_TEMPLATE.search(part) for part in texts):
        return "a template in it has quotes"
    return None


def _has_more_than_words(text: str, call: Call) -> bool:
    raw = text[call.span.start : call.span.end]
    try:
        tokens = Lexer(raw, Variables(raw)).split(0, len(raw))
    except NotRead:
        return True
    is_commented = re.search(r"(?m)^\s*#", raw)
    return any(token.kind is not Kind.WORD for token in tokens) or bool(is_commented)


def _written(text: str, old: Call, new: Call) -> str:
    """The new command: in one line if the old one was, or if it is in a string."""
    raw = text[old.span.start : old.span.end]
    second = _SECOND_LINE.search(raw)
    between = f" \\{newline_of(text)}{second[1]}" if second and not old.embedding else " "
    at = raw[: len(raw) - len(raw.lstrip("@"))]  # of a Makefile
    return at + curl.write(new, between).text


# --- in strings of other languages


def _embedded(text: str, old: Call, written: str) -> tuple[Edit, ...] | None:
    """The edits that put a command into a string in the way of its language; None if that cannot be done safely."""
    embedding = old.embedding
    if embedding is None or "\n" in written:
        return None
    is_triple = text[embedding.start : embedding.start + 3] in {"'''", '"""'} and text[old.span.end] not in "'\""
    edit = Edit(*old.span, encode(written, embedding.quoting, is_triple=is_triple))
    match embedding.quoting:
        case Quoting.GROOVY_DOUBLE:
            return _with_dollars(text, embedding, edit)
        case Quoting.YAML_PLAIN if _NOT_PLAIN.search(written):
            return _quoted(text, embedding, edit)
    return (edit,)


def _with_dollars(text: str, embedding: Embedding, edit: Edit) -> tuple[Edit, ...] | None:
    """Leave to the shell what was left to it, and to Groovy what it replaces."""
    raw = text[embedding.start : embedding.end]
    written, ends = "", 0
    for found in _DOLLAR.finditer(edit.text):
        is_shells = re.search(rf"\\{re.escape(found[0])}(?!\w)", raw)
        is_groovys = re.search(rf"(?<!\\){re.escape(found[0])}(?!\w)", raw)
        if bool(is_shells) is bool(is_groovys) or (found.start() > 0 and edit.text[found.start() - 1] == "\\"):
            return None
        written += edit.text[ends : found.start()] + ("\\" if is_shells else "") + found[0]
        ends = found.end()
    return (edit._replace(text=written + edit.text[ends:]),)


def _quoted(text: str, embedding: Embedding, edit: Edit) -> tuple[Edit, ...]:
    """Put a plain scalar of YAML into quotes, which a header needs."""
    doubled = [
        Edit(at, at + 1, "''")
        for at in range(embedding.start, embedding.end)
        if text[at] == "'" and not edit.start <= at < edit.end
    ]
    new = edit._replace(text=encode(edit.text, Quoting.YAML_SINGLE))
    if edit.start == embedding.start:  # two edits cannot begin at the same place
        new = new._replace(text=f"'{new.text}")
    else:
        doubled.append(Edit(embedding.start, embedding.start, "'"))
    if edit.end == embedding.end:
        new = new._replace(text=f"{new.text}'")
    else:
        doubled.append(Edit(embedding.end, embedding.end, "'"))
    return (new, *doubled)
