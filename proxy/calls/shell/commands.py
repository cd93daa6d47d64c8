"""Groups the words of a shell script into commands."""

from typing import NamedTuple

from proxy.calls.shell.lexer import Kind, Token

_RESERVED = frozenset("if then elif else while until do { } ! time fi done esac in".split())
_PROMPTS = frozenset("$ %".split())


class Command(NamedTuple):
    """One command, without what it is redirected to.

    Attributes:
        words: its words; reserved words, and a prompt before it, are left out.
        before: the operator before it, or an empty text.
        piped_from: whether its input is the output of the command before it.
        piped_to: whether its output is the input of the command after it.
        redirected: the file that its output goes to, unless that is ``/dev/null``.
        input: the text that is fed into it by ``<<`` or ``<<<``.
        input_file: the file that is.
    """

    words: tuple[Token, ...]
    before: str
    piped_to: bool = False
    redirected: str | None = None
    input: str | None = None
    input_file: str | None = None

    @property
    def piped_from(self) -> bool:
        """Whether its input is the output of the command before it."""
        return self.before in {"|", "|&"}

    @property
    def start(self) -> int:
        """Where its first word starts."""
        return self.words[0].start

    @property
    def end(self) -> int:
        """Where its last word ends."""
        return self.words[-1].end

    @property
    def texts(self) -> list[str]:
        """The words as text."""
        return [word.text for word in self.words]


def commands(tokens: list[Token]) -> list[Command]:
    """The commands of a script, in their order."""
    found: list[Command] = []
    part: list[Token] = []
    before = ""
    for token in tokens:
        if token.kind is not Kind.OPERATOR:
            part.append(token)
            continue
        command = _command(part, before)
        if command is not None:
            found.append(command._replace(piped_to=token.text in {"|", "|&"}))
            before = token.text
        elif token.text != "\n" or before not in {"|", "|&", "&&", "||"}:
            before = token.text
        part = []
    last = _command(part, before)
    return found if last is None else [*found, last]


def _command(tokens: list[Token], before: str) -> Command | None:
    words = [token for token in tokens if token.kind is Kind.WORD]
    while words and words[0].text in _RESERVED | _PROMPTS:
        words.pop(0)
    if not words:
        return None
    command = Command(tuple(words), before)
    for token in tokens:
        if token.kind is Kind.REDIRECTION:
            command = _redirected(command, token)
    return command


def _redirected(command: Command, token: Token) -> Command:
    if token.text in {"<<", "<<<"}:
        return command._replace(input=token.document)
    if token.text == "<":
        return command._replace(input_file=token.document)
    if token.text in {">", ">>", ">|"} and token.document != "/dev/null":
        return command._replace(redirected=token.document)
    return command
