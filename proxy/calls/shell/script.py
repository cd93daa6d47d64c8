"""Reads the calls in a shell script, or in a single command line."""

import functools
import re
from typing import NamedTuple

from proxy.calls import urls
from proxy.calls.call import Answer, Call, Language, NotRead, Other, Reading, Span, Variable, Variables, in_order
from proxy.calls.shell import curl, httpie, wget
from proxy.calls.shell.commands import Command, commands
from proxy.calls.shell.draft import STDIN, Draft
from proxy.calls.shell.lexer import Lexer, Token

_DEPTH = 20
"""How many substitutions may stand in each other."""

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=")
_DECLARES = frozenset("export local readonly declare typeset set".split())
_BEFORE_HTTPIE = frozenset("sudo env time exec nohup command - RUN".split())
_OUTPUT = frozenset("-o --output -O --output-document --remote-name".split())
_CONTINUES = re.compile(r"-[-\w]|https?://")


class _Body(NamedTuple):
    text: str | None = None
    file: str | None = None
    problem: str | None = None


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
        self._substituted: dict[str, list[Command]] = {}
        self._values: dict[str, set[str]] = {}
        self._calls: list[Call] = []
        self._sources: set[int] = set()
        self._others: list[Other] = []

    def split(self, start: int, end: int, captured: bool = False, depth: int = 0) -> list[Command]:
        """Find the commands in a part of the text, and in its substitutions."""
        found = _rejoined(commands(self._lexer.split(start, end)))
        self._parts.append((found, captured))
        for command in found:
            self._note_values(command)
        inner = self._lexer.substitutions if depth < _DEPTH else {}
        for char, (first, last) in inner.items():
            try:
                self._substituted[char] = self.split(first, last, captured=True, depth=depth + 1)
            except NotRead:
                continue  # what it holds is not needed unless it is a body
        return found

    def reading(self) -> Reading:
        """The calls and the other commands that `split` has found."""
        for found, captured in self._parts:
            for at, command in enumerate(found):
                self._read(command, found[at - 1] if command.piped_from and at else None, captured)
        others = [other for other in self._others if other.start not in self._sources]
        return in_order(self._text, self._calls, others)

    def _note_values(self, command: Command) -> None:
        for word in command.words:
            found = _ASSIGNMENT.match(self._text, word.start, word.end)
            if found:
                self._values.setdefault(found[1], set()).add(word.text[len(found[0]) :])
            elif word.text not in _DECLARES:
                break

    def _read(self, command: Command, source: Command | None, captured: bool) -> None:
        at = _program(command)
        draft = None if at is None else self._draft(command, at)
        if at is None or draft is None:
            self._add_other(command)
            return
        body = self._body(draft, command, source)
        resolved: list[str] = []
        method = draft.method or ("GET" if body == _Body() else "POST")
        url, used = urls.filled_in(method, draft.url or "", self._known.get)
        resolved += [self._variables.shown(char) for char in used]
        if body.text is not None:
            body = self._resolved(body.text, resolved)
        options = [option for words in draft.options for option in words[:1] if option in _OUTPUT]
        is_used = command.piped_to or command.redirected or captured or bool(options)
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
                tuple(resolved),
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
        if (
            is_make_variable
            or command.texts[0] in _DECLARES
            or _ASSIGNMENT.match(self._text, command.start, command.end)
        ):
            return
        self._others.append(Other(command.start, _name(command.words[0])))

    @functools.cached_property
    def _known(self) -> dict[str, str]:
        """The value of each variable that is set once in the text."""
        return {
            char: next(iter(values))
            for char, variable in self._variables.by_character.items()
            if variable.source in {f"${variable.name}", f"${{{variable.name}}}", f"%{variable.name}%"}
            and len(values := self._values.get(variable.name or "", set())) == 1
        }

    def _body(self, draft: Draft, command: Command, source: Command | None) -> _Body:
        """Where the body comes from; a text may still be a variable."""
        if draft.body is not None:
            return _Body(draft.body)
        is_httpie = draft.program in {"http", "https"}
        feeds = command.input is not None or command.input_file is not None or source is not None
        if draft.file not in {STDIN, "/dev/stdin"} and not (is_httpie and feeds and draft.file is None):
            return self._file(draft.file)
        if command.input is not None:
            return _Body(command.input)
        if command.input_file is not None:
            return self._file(command.input_file)
        if source is not None:
            return self._made_by(source)
        return _Body(problem="its body comes from standard input: translate that with --path")

    def _file(self, file: str | None) -> _Body:
        if file is not None and any(char in self._variables.by_character for char in file):
            name = self._variables.shown(file)
            return _Body(problem=f"its body is in the file {name}: translate that file with --path")
        return _Body(file=file)

    def _resolved(self, text: str, resolved: list[str]) -> _Body:
        """A body; if it is a variable, its value."""
        by_character, known = self._variables.by_character, self._known
        for _ in range(_DEPTH):
            if text not in by_character:
                return _Body(text)
            source = by_character[text].source
            if text in self._substituted:
                made = self._substituted[text]
                body = self._made_by(made[0]) if len(made) == 1 else _made(_name(made[-1].words[0]) if made else source)
                if body.text is None:
                    return body
                text = body.text
            elif text in known:
                resolved.append(source)
                text = known[text]
            else:
                break
        problem = f"its body is {self._variables.shown(text)}, which is not set in this text"
        return _Body(problem=f"{problem}: translate what it holds with --path")

    def _made_by(self, command: Command) -> _Body:
        """What a command prints."""
        self._sources.add(command.start)
        name, *arguments = command.texts
        if name == "cat" and command.input is not None and arguments in ([], ["-"]):
            return _Body(command.input)
        if name == "cat" and len(arguments) == 1:
            return self._file(arguments[0])
        if name == "echo":
            while arguments and re.fullmatch("-[neE]+", arguments[0]):
                arguments.pop(0)
            return _Body(" ".join(arguments))
        if name == "printf" and arguments and arguments[0].count("%") == arguments[0].count("%s"):
            parts = arguments[0].removesuffix("\\n").split("%s")
            if len(parts) == len(arguments):
                return _Body("".join(a + b for a, b in zip(parts, [*arguments[1:], ""], strict=True)))
        return _made(name)


def _made(program: str) -> _Body:
    return _Body(problem=f"its body is made by {program}: let that make the body of the new call")


def _name(word: Token) -> str:
    return word.text.lstrip("@").replace("\\", "/").rpartition("/")[2].removesuffix(".exe")


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
