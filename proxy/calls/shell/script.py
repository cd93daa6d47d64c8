"""Reads the calls in a shell script, or in a single command line."""

import re

from proxy.calls import urls
from proxy.calls.call import Answer, Call, Language, NotRead, Other, Reading, Span, Variable, Variables, in_order, tool
from proxy.calls.shell import curl, httpie, wget
from proxy.calls.shell.bodies import ASSIGNMENT, DECLARES, Bodies, Body
from proxy.calls.shell.commands import Command, commands
from proxy.calls.shell.draft import Draft
from proxy.calls.shell.lexer import Lexer, Token

_DEPTH = 20
"""How many substitutions may stand in each other."""

_BEFORE_HTTPIE = frozenset("sudo env time exec nohup command - RUN".split())
_OUTPUT = frozenset("-o --output -O --output-document --remote-name".split())
_PROGRAM = re.compile(r"[\w.+:-]{1,40}")
_CONTINUES = re.compile(r"-[-\w]|https?://")


def read(text: str, language: Language = Language.SHELL, start: int = 0, end: int | None = None) -> Reading:
    """Read a script, or a part of a text that is one.

    Args:
        text: the whole text.
        language: `Language.SHELL` or `Language.CMD`.
        start: where the part starts.
        end: where it ends; None for the end of the text.

    Raises:
        NotRead: a quote is never closed.
    """
    script = _Script(text, language)
    script.split(start, len(text) if end is None else end)
    return script.reading()


class _Script:
    def __init__(self, text: str, language: Language) -> None:
        self._text = text
        self._language = language
        self._variables = Variables(text)
        self._lexer = Lexer(text, self._variables, language)
        self._parts: list[tuple[list[Command], bool]] = []
        self._bodies = Bodies(text, self._variables)
        self._calls: list[Call] = []
        self._others: list[Other] = []

    def split(self, start: int, end: int, captured: bool = False, depth: int = 0) -> list[Command]:
        """Find the commands in a part of the text, and in its substitutions."""
        found = _rejoined(commands(self._lexer.split(start, end)))
        self._parts.append((found, captured))
        for command in found:
            self._bodies.note(command)
        inner = self._lexer.substitutions if depth < _DEPTH else {}
        for char, (first, last) in inner.items():
            try:
                self._bodies.substituted[char] = self.split(first, last, captured=True, depth=depth + 1)
            except NotRead:
                continue  # what it holds is not needed unless it is a body
        return found

    def reading(self) -> Reading:
        """The calls and the other commands that `split` has found."""
        for found, captured in self._parts:
            for at, command in enumerate(found):
                self._read(command, found[at - 1] if command.piped_from and at else None, captured)
        others = [other for other in self._others if other.start not in self._bodies.sources]
        return in_order(self._text, self._calls, others)

    def _read(self, command: Command, source: Command | None, captured: bool) -> None:
        at = _program(command)
        draft = None if at is None else self._draft(command, at)
        if at is None or draft is None:
            self._add_other(command)
            return
        body = self._bodies.of(draft, command, source)
        method = draft.method or ("GET" if body == Body() else "POST")
        url, used = urls.filled_in(method, draft.url or "", self._bodies.known.get)
        options = [option for words in draft.options for option in words[:1] if option in _OUTPUT]
        is_used = command.piped_to or command.redirected is not None or captured or bool(options)
        program = command.words[at]
        self._calls.append(
            Call(
                program.text.lstrip("@"),
                self._language,
                method,
                url,
                tuple(draft.headers),
                self._variables.as_values(body.text or ""),
                body.file,
                tuple(draft.options),
                self._variables.by_character,
                Answer(is_used),
                Span(program.start, command.end),
                (*map(self._variables.shown, used), *body.origins),
                self._guesses(command),
                draft.problem or body.problem,
                self._text[command.start : program.start].strip(" \t@"),
            )
        )

    def _draft(self, command: Command, at: int) -> Draft | None:
        """Read the words after the program; None if it is not called."""
        name, words = _name(command.words[at]), command.texts[at + 1 :]
        try:
            match name:
                case "curl":
                    draft = curl.read(words)
                case "wget":
                    draft = wget.read(words)
                case _:
                    draft = httpie.read(words, name, self._variables)
        except NotRead as error:
            draft = Draft(name, problem=str(error))
        if not draft.url:
            if at:  # such as `apt-get install curl`
                return None
            draft.refuse("the command line has no URL")
        if any(char.source.startswith("`") for _, char in self._used(command)):
            draft.refuse("`…` is not supported: use $(…)")
        draft.problem = draft.problem and self._variables.shown(draft.problem)
        return draft

    def _used(self, command: Command) -> list[tuple[str, Variable]]:
        by_character = self._variables.by_character
        return [(char, by_character[char]) for word in command.texts for char in word if char in by_character]

    def _guesses(self, command: Command) -> tuple[str, ...]:
        guesses = [guess for place, guess in self._lexer.guesses if command.start <= place < command.end]
        guesses += [
            f"a \\ is missing at the end of line {self._line(before.end)}, and was read as if it stood there"
            for before, after in zip(command.words, command.words[1:], strict=False)
            if _is_torn(self._text[before.end : after.start])
        ]
        return tuple(dict.fromkeys(guesses))

    def _line(self, place: int) -> int:
        return self._text.count("\n", 0, place) + 1

    def _add_other(self, command: Command) -> None:
        is_make_variable = len(command.words) == 1 and command.texts[0].isupper()
        if is_make_variable or command.texts[0] in DECLARES or ASSIGNMENT.match(self._text, command.start, command.end):
            return
        name = _name(command.words[0])
        self._others.append(Other(command.start, name if _PROGRAM.fullmatch(name) else "…"))


def _name(word: Token) -> str:
    return tool(word.text.lstrip("@"))


def _program(command: Command) -> int | None:
    """Which of the words is the program that calls, if one is."""
    for at, word in enumerate(command.words):
        name = _name(word)
        if name in {"curl", "wget"} or (name in {"http", "https"} and all(map(_goes_before, command.texts[:at]))):
            return at
    return None


def _goes_before(word: str) -> bool:
    return word in _BEFORE_HTTPIE or word.startswith("-") or "=" in word


def _rejoined(found: list[Command]) -> list[Command]:
    """Join a call with the lines after it that were torn off by a missing backslash."""
    joined: list[Command] = []
    for command in found:
        last = joined[-1] if joined else None
        is_torn = command.before == "\n" and _CONTINUES.match(command.texts[0])
        if last and is_torn and _program(last) is not None and not last.piped_to:
            joined[-1] = command._replace(
                words=last.words + command.words,
                before=last.before,
                redirected=last.redirected or command.redirected,
                input=command.input if last.input is None else last.input,
            )
        else:
            joined.append(command)
    return joined


def _is_torn(between: str) -> bool:
    """Whether there is a line end without a backslash between two words."""
    return "\n" in re.sub(r"[\\^`][ \t]*\r?\n", "", between)
