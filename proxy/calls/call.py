"""A call as it is written in source code."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple, TypeVar

from proxy.calls.embedding import Embedding, Places

_FIRST, _LAST = 0xE000, 0xF8FF  # the private use area: no text that is meant for people has these characters
_MAY_AUTHORIZE = frozenset("-H --header -n --netrc --netrc-file --session auth".split())
_PLAIN = re.compile(r"[$\w.]{1,60}(?:\(\))?")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


class NotRead(ValueError):
    """A text, or a call in it, that cannot be read."""


class Language(Enum):
    """A language that calls are written in; the value is what people call it."""

    SHELL = "the shell"
    CMD = "cmd.exe"
    POWERSHELL = "PowerShell"
    PYTHON = "Python"
    JAVASCRIPT = "JavaScript"


class Variable(NamedTuple):
    """An expression whose value is known only when the call is made.

    Attributes:
        source: the expression, in the language of the call.
        name: a name for it: that of the variable, if it is only one.
        is_value: whether it is a whole JSON value, instead of a part of a string.
        is_list: whether it is the list of inputs.
    """

    source: str
    name: str | None = None
    is_value: bool = False
    is_list: bool = False


class Variables:
    """The variables of a text. In what is read, a character that the text does not have stands for each.

    Args:
        text: the whole text, with everything that may come to stand beside a variable.
    """

    def __init__(self, *text: str) -> None:
        whole = "".join(text)
        taken = {*whole, *(chr(int(code, 16)) for code in _ESCAPE.findall(whole))}
        self._free = (char for char in map(chr, range(_FIRST, _LAST + 1)) if char not in taken)
        self.by_character: dict[str, Variable] = {}

    def add(self, source: str, name: str | None = None, *, is_value: bool = False) -> str:
        """The character for one more variable.

        Raises:
            NotRead: there are too many.
        """
        character = next(self._free, None)
        if character is None:
            raise NotRead("it has too many variables")
        self.by_character[character] = Variable(source, name, is_value)
        return character

    def shown(self, text: str) -> str:
        """The text with the source of each variable, for messages."""
        return show(text, self.by_character)

    def as_values(self, body: str) -> str:
        """Put quotes around variables that stand outside the strings of a JSON text, so that it can be parsed."""
        out, in_string, escaped = [], False, False
        for char in body:
            if not in_string and char in self.by_character:
                self.by_character[char] = self.by_character[char]._replace(is_value=True)
                out.append(f'"{char}"')
                continue
            out.append(char)
            if char == '"' and not escaped:
                in_string = not in_string
            escaped = char == "\\" and not escaped
        return "".join(out)


class Span(NamedTuple):
    """A part of a text, from the first character to the one after the last."""

    start: int
    end: int


class Answer(NamedTuple):
    """What is done with the answer to a call.

    Attributes:
        is_used: whether it is piped, redirected, assigned or given to another function.
        fields: fields of the withdrawn answer that the text names after the call.
    """

    is_used: bool = False
    fields: tuple[str, ...] = ()


class Parts(NamedTuple):
    """Where the parts of a call of a library are.

    Attributes:
        url: the expression of the URL.
        body: that of the value that the body is made of, if there is one.
        headers: that of the headers, if there is one.
        is_encoded: whether the library makes JSON of the value, and says so in a header.
    """

    url: Span
    body: Span | None
    headers: Span | None
    is_encoded: bool


class Call(NamedTuple):
    """A call in a text. In each string, a character of `variables` stands for a variable.

    Attributes:
        program: what makes it, such as ``curl`` or ``requests.post``.
        language: of the text, and of its variables.
        headers: in their order. One without a value whose name is a variable stands for several.
        body: a JSON text, or empty.
        body_file: the file with the body, if it is in one; `body` is empty then.
        options: what only this program understands, each as its words. They stay only if the program stays.
        answer: what is done with the answer.
        span: the words of the call, without what stands before the program, and without what the answer goes to.
        resolved: what was found elsewhere in the text, such as a variable, a here-document or the output of ``echo``.
        guesses: sentences on what was read although it does not stand in the text like that.
        problem: why it cannot be translated even if it is a withdrawn call.
        prefix: what stands before the program, such as ``sudo -E``.
        embedding: the string that holds it, if it is one of another language in which the call is written otherwise.
        parts: where its parts are, if it is a call of a library.
    """

    program: str
    language: Language
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    body_file: str | None = None
    options: tuple[tuple[str, ...], ...] = ()
    variables: Mapping[str, Variable] = {}
    answer: Answer = Answer()
    span: Span = Span(0, 0)
    resolved: tuple[str, ...] = ()
    guesses: tuple[str, ...] = ()
    problem: str | None = None
    prefix: str = ""
    embedding: Embedding | None = None
    parts: Parts | None = None

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def tool(self) -> str:
        """The program without its folder and ending."""
        return tool(self.program)

    @property
    def may_authorize(self) -> bool:
        """Whether it has an Authorization header, or headers that are not known."""
        has_header = any(key.lower() == "authorization" or key in self.variables for key, _ in self.headers)
        return has_header or any(words[0] in _MAY_AUTHORIZE for words in self.options)

    def shown(self, text: str) -> str:
        """A text of this call with the source of each variable, for messages."""
        return show(text, self.variables)

    def variables_in(self, *texts: str) -> Iterator[tuple[str, Variable]]:
        """Each variable in texts of this call, with its character."""
        for char in dict.fromkeys("".join(texts)):
            if char in self.variables:
                yield char, self.variables[char]


def tool(program: str) -> str:
    """A program without its folder and ending; that of an image is its name."""
    name = program.replace("\\", "/").rpartition("/")[2]
    return name.partition(":")[0].removesuffix(".exe")


class Other(NamedTuple):
    """A command in a script that is no call: where it starts, and its program. Its arguments may be secret."""

    start: int
    program: str


class Reading(NamedTuple):
    """The calls in a text, and the other commands, in their order."""

    calls: tuple[Call, ...] = ()
    others: tuple[Other, ...] = ()


def in_order(text: str, calls: Iterable[Call], others: Iterable[Other] = ()) -> Reading:
    """What was read in a text, in its order.

    Args:
        text: the whole text.
        calls: without the fields of the answer that the text names; those after a call are taken for the fields of its
            answer.
        others: the other commands.
    """
    ordered = sorted(calls, key=lambda call: call.span)
    ends = [*(call.span.start for call in ordered[1:]), len(text)]
    return Reading(
        tuple(
            call._replace(answer=Answer(call.answer.is_used, _fields_in(text, call.span.end, end)))
            for call, end in zip(ordered, ends, strict=False)
        ),
        tuple(sorted(others)),
    )


def placed(reading: Reading, text: str, embedding: Embedding, places: Places | None) -> Reading:
    """What was read in a string, with its place in the file: that of the whole string, if a character is not found."""
    embedding = embedding._replace(is_exact=places is not None)
    calls = []
    for call in reading.calls:
        start, end = places.span(*call.span) if places else (embedding.start, embedding.end)
        calls.append(call._replace(span=Span(start, end), embedding=embedding))
    others = [Other(places.starts[start] if places else embedding.start, name) for start, name in reading.others]
    return in_order(text, calls, others)


_String = TypeVar("_String")


def read_each(text: str, strings: Iterable[_String], read: Callable[[_String], Reading]) -> Reading:
    """What was read in the strings of a text. One that cannot be read is left out, if there is a call in another.

    Args:
        text: the whole text.
        strings: the strings of another language in it.
        read: reads one of them.

    Raises:
        NotRead: no call was read, for the reason of the first string that could not be.
    """
    found: list[Reading] = []
    problems: list[NotRead] = []
    for string in strings:
        try:
            found.append(read(string))
        except NotRead as error:
            problems.append(error)
    calls = [call for reading in found for call in reading.calls]
    if problems and not calls:
        raise problems[0]
    return in_order(text, calls, [other for reading in found for other in reading.others])


def not_written_out(source: str) -> NotRead:
    """The reason why a body cannot be translated; its source is shown only if it has no values."""
    shown = source if _PLAIN.fullmatch(source) else "an expression"
    return NotRead(f"its body is {shown}, which is not written out: translate what it holds with --path")


def show(text: str, variables: Mapping[str, Variable]) -> str:
    """A text with the source of each variable."""
    return "".join(variables[char].source if char in variables else char for char in text)


_FIELDS = re.compile(r"\b(?:flux_public_id|flux_id|trigger_status|fluxPublicId|fluxId|triggerStatus)\b")


def _fields_in(text: str, start: int, end: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_FIELDS.findall(text, start, end)))
