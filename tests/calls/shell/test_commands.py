import pytest

from proxy.calls.call import Variables
from proxy.calls.shell.commands import Command, commands
from proxy.calls.shell.lexer import Lexer


def found(text: str) -> list[Command]:
    return commands(Lexer(text, Variables(text)).split(0, len(text)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b; c && d || e\nf & g", ["a b", "c", "d", "e", "f", "g"]),
        ("if ! a; then b; else c; fi", ["a", "b", "c"]),
        ("while a; do b; done", ["a", "b"]),
        ("f() { a; }", ["f", "a"]),
        ("(a; b)", ["a", "b"]),
        ("a |\n  b", ["a", "b"]),
        ("$ a b", ["a b"]),
        ("; && \n", []),
        ("> file", []),
    ],
)
def test_commands_are_what_stands_between_operators(text: str, words: list[str]) -> None:
    assert [" ".join(command.texts) for command in found(text)] == words


def test_a_pipe_joins_two_commands() -> None:
    first, second, third = found("a | b && c")
    assert (first.piped_to, second.piped_from, second.piped_to, third.piped_from) == (True, True, False, False)


@pytest.mark.parametrize(
    ("text", "redirected"),
    [("a > b", "b"), ("a >> b", "b"), ("a > /dev/null", None), ("a 2> b", None), ("a 2>&1", None), ("a", None)],
)
def test_output_that_goes_to_a_file_is_kept(text: str, redirected: str | None) -> None:
    assert found(text)[0].redirected == redirected


@pytest.mark.parametrize(
    ("text", "fed"),
    [("a <<E\nb\nE", ("b", None)), ("a <<< b", ("b", None)), ("a < b", (None, "b")), ("a", (None, None))],
)
def test_input_comes_from_the_text_or_from_a_file(text: str, fed: tuple[str | None, str | None]) -> None:
    (command,) = found(text)
    assert (command.input, command.input_file) == fed


def test_a_command_has_its_place() -> None:
    _, command = found("a; 'b c'  d > e")
    assert (command.start, command.end) == (3, 11)
