"""Finds the bodies of calls in a shell script: in variables, here-documents, and what other commands print."""

import functools
import re
from typing import NamedTuple

from proxy.calls.call import Variables, tool
from proxy.calls.shell.commands import Command
from proxy.calls.shell.draft import STDIN, Draft

DECLARES = frozenset("export local readonly declare typeset set ENV ARG".split())
"""Commands that set variables, and call nothing."""

ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=")
_CONTENT = re.compile(r"\$\(\s*<\s*([\w./-]+)\s*\)")
"""What bash reads a file with."""

_DEPTH = 20
"""How many variables may stand in each other."""


class Body(NamedTuple):
    """A body.

    Attributes:
        text: with variables; None if it is not in the text.
        file: the file that has it.
        problem: why it is not known.
        origins: where in the text it was found, apart from the call.
    """

    text: str | None = None
    file: str | None = None
    problem: str | None = None
    origins: tuple[str, ...] = ()


class Bodies:
    """What the commands of a script set and print.

    Args:
        text: the whole text.
        variables: those in it.

    Attributes:
        substituted: the commands of each ``$(…)``, by its character.
        sources: where the commands start that have printed a body.
    """

    def __init__(self, text: str, variables: Variables) -> None:
        self._text = text
        self._variables = variables
        self._values: dict[str, set[str]] = {}
        self._written: dict[str, list[Command]] = {}
        self.substituted: dict[str, list[Command]] = {}
        self.sources: set[int] = set()

    def note(self, command: Command) -> None:
        """Note the variables that a command sets and the file that it writes, before any body is asked for."""
        if command.redirected is not None:
            self._written.setdefault(command.redirected, []).append(command)
        for word in command.words:
            found = ASSIGNMENT.match(self._text, word.start, word.end)
            if found:
                self._values.setdefault(found[1], set()).add(word.text[len(found[0]) :])
            elif word.text not in DECLARES:
                break

    @functools.cached_property
    def known(self) -> dict[str, str]:
        """The value of each variable that is set once in the text, by its character."""
        return {
            char: next(iter(values))
            for char, variable in self._variables.by_character.items()
            if variable.source in {f"${variable.name}", f"${{{variable.name}}}", f"%{variable.name}%"}
            and len(values := self._values.get(variable.name or "", set())) == 1
        }

    def of(self, draft: Draft, command: Command, source: Command | None) -> Body:
        """The body of a call.

        Args:
            draft: the call.
            command: its command.
            source: the command whose output it reads, if there is one.
        """
        body = self._given(draft, command, source)
        for _ in range(_DEPTH):
            if body.text is None or body.text not in self._variables.by_character:
                return body
            found = self._value(body.text)
            body = found._replace(origins=body.origins + found.origins)
        return Body(problem=f"its body is {self._variables.shown(draft.body or '')}, which leads back to itself")

    def _given(self, draft: Draft, command: Command, source: Command | None) -> Body:
        if draft.body is not None:
            return Body(draft.body)
        is_fed = command.input is not None or command.input_file is not None or source is not None
        reads_input = draft.file in {STDIN, "/dev/stdin"}
        if not reads_input and not (draft.program in {"http", "https"} and is_fed and draft.file is None):
            return self._file(draft.file)
        if command.input is not None:
            return Body(command.input, origins=("the text after <<",))
        if command.input_file is not None:
            return self._file(command.input_file)
        if source is not None:
            return self._made_by(source)
        return Body(problem="its body comes from standard input: translate that with --path")

    def _value(self, char: str) -> Body:
        """What a variable stands for."""
        source = self._variables.by_character[char].source
        if found := _CONTENT.fullmatch(source):
            return self._file(found[1])
        if char in self.substituted:
            made = self.substituted[char]
            return self._made_by(made[0]) if len(made) == 1 else _made(tool(made[-1].texts[0]) if made else source)
        if char in self.known:
            return Body(self.known[char], origins=(source,))
        return Body(problem=f"its body is {source}, which is not set in this text: translate what it holds with --path")

    def _file(self, file: str | None) -> Body:
        if file is None:
            return Body()
        if any(char in self._variables.by_character for char in file):
            name = self._variables.shown(file)
            return Body(problem=f"its body is in the file {name}: translate that file with --path")
        writers = self._written.get(file, [])
        return self._made_by(writers[0]) if len(writers) == 1 else Body(file=file)

    def _made_by(self, command: Command) -> Body:
        """What a command prints."""
        self.sources.add(command.start)
        name, *arguments = command.texts
        origins = (f"what {name} prints",)
        if name == "cat" and command.input is not None and arguments in ([], ["-"]):
            return Body(command.input, origins=origins)
        if name == "cat" and len(arguments) == 1:
            return self._file(arguments[0])
        if name == "echo":
            while arguments and re.fullmatch("-[neE]+", arguments[0]):
                arguments.pop(0)
            return Body(" ".join(arguments), origins=origins)
        if name == "printf" and arguments and arguments[0].count("%") == arguments[0].count("%s"):
            parts = arguments[0].removesuffix("\\n").split("%s")
            if len(parts) == len(arguments):
                printed = "".join(a + b for a, b in zip(parts, [*arguments[1:], ""], strict=True))
                return Body(printed, origins=origins)
        return _made(tool(name))


def _made(program: str) -> Body:
    return Body(problem=f"its body is made by {program}: let that make the body of the new call")
