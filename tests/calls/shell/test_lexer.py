"""Words are split as a shell splits them, which the tests ask a shell about."""

import shlex

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.calls.call import Language, NotRead, Variables
from proxy.calls.shell.lexer import Kind, Lexer, Token
from tests.support.examples import examples


def tokens(text: str, language: Language = Language.SHELL) -> list[Token]:
    """The tokens of a text, with each variable as ``<source>``."""
    variables = Variables(text)

    def mark(word: str | None) -> str:
        known = variables.by_character
        return "".join(f"<{known[char].source}>" if char in known else char for char in word or "")

    found = Lexer(text, variables, language).split(0, len(text))
    return [
        token._replace(text=mark(token.text), document=None if token.document is None else mark(token.document))
        for token in found
    ]


def words(text: str, language: Language = Language.SHELL) -> list[str]:
    return [token.text for token in tokens(text, language) if token.kind is Kind.WORD]


def operators(text: str) -> list[str]:
    return [token.text for token in tokens(text) if token.kind is Kind.OPERATOR]


def documents(text: str) -> list[str | None]:
    return [token.document for token in tokens(text) if token.kind is Kind.REDIRECTION]


@pytest.mark.parametrize(
    ("written", "word"),
    [
        ("'a b'", "a b"),
        ('"a b"', "a b"),
        (r"a\ b", "a b"),
        ('$"a b"', "a b"),
        (r"\"a\"", '"a"'),
        (r'"{\"a\": \"b\"}"', '{"a": "b"}'),
        (r'"a\\b\c"', r"a\b\c"),
        ("'it'\\''s'", "it's"),
        ("'it'\"'\"'s'", "it's"),
        ("'a'b\"c\"", "abc"),
        ("''", ""),
        ('""', ""),
        ("a#b", "a#b"),
        ("'a|b;c&d'", "a|b;c&d"),
        ("'тест'", "тест"),
        ("a\\\nb", "ab"),
        ('"a\\\nb"', "ab"),
        ('"a\nb"', "a\nb"),
        ("$VAR", "<$VAR>"),
        ('"${VAR}"', "<${VAR}>"),
        ('"$(cat token)"', "<$(cat token)>"),
        ('\'{"a": "\'"$VAR"\'"}\'', '{"a": "<$VAR>"}'),
        ("'{\"a\": \"'$VAR'\"}'", '{"a": "<$VAR>"}'),
        ("'$VAR'", "$VAR"),
        (r"\$VAR", "$VAR"),
        (r'"\$VAR $VAR"', "$VAR <$VAR>"),
    ],
)
def test_quotes_are_read_as_a_shell_reads_them(written: str, word: str) -> None:
    assert words(f"a {written}") == ["a", word]


@pytest.mark.parametrize(
    "source",
    [
        "$A", "${A}", "${A:-b c}", "${A:-$(b \"c)\")}", "$(a 'b)' \"c)\")", "$(a $(b) (c))", "$((1 + (2)))", "$1", "$@",
        "$?", "$$A", "$(a <<E\nit's ) (\nE\n)", "$(a <<-'E' | b\n\t\"\n\tE\n)", "${{ github.ref_name }}", "`a b`",
    ],
)  # fmt: skip
def test_an_expansion_is_one_variable(source: str) -> None:
    assert words(f'a x{source}.y "{source}" b') == ["a", f"x<{source}>.y", f"<{source}>", "b"]


def test_a_comment_is_left_out_and_a_number_sign_in_a_word_stays() -> None:
    assert words("a b#c # d 'e\nf") == ["a", "b#c", "f"]


def test_operators_end_a_word() -> None:
    assert operators("a&&b||c;d|e|&f&(g)\nh") == ["&&", "||", ";", "|", "|&", "&", "(", ")", "\n"]
    assert words("a&&b||c;d|e") == list("abcde")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a > b", [(">", "b")]),
        ("a >b 2>&1", [(">", "b"), ("2>&", "1")]),
        ("a 2>/dev/null", [("2>", "/dev/null")]),
        ("a < b", [("<", "b")]),
        ("a &> b", [(">", "b")]),
        ("a <<< '{}'", [("<<<", "{}")]),
    ],
)
def test_redirections_are_no_words(text: str, found: list[tuple[str, str]]) -> None:
    assert words(text) == ["a"]
    assert [(token.text, token.document) for token in tokens(text) if token.kind is Kind.REDIRECTION] == found


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("a <<EOF\nb $C\nEOF\nd", "b <$C>"),
        ("a <<'EOF'\nb $C\nEOF\nd", "b $C"),
        ('a <<"EOF"\nb $C\nEOF\nd', "b $C"),
        ("a <<-EOF\n\tb\n\tEOF\nd", "b"),
        ("a <<EOF\nb \\$C it's\nEOF\nd", "b $C it's"),
        ("    a <<EOF\n    b\n    EOF\nd", "    b"),
        ("a <<EOF\nb", "b"),
    ],
)
def test_a_here_document_is_read_to_its_end(text: str, document: str) -> None:
    assert documents(text) == [document]
    assert words(text) == ["a", "d"][: 1 + text.endswith("d")]


def test_several_here_documents_follow_each_other() -> None:
    assert documents("a <<A <<B\n1\nA\n2\nB\n") == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('a "b c" d', ["a", "b c", "d"]),
        (r'a "{\"b\": \"c\"}"', ["a", '{"b": "c"}']),
        ("a ^\r\n  b ^\n  c", ["a", "b", "c"]),
        (r'a ^"b c^" ^"^{^\^"d^\^":1^}^"', ["a", "b c", '{"d":1}']),
        ("a ^& b^^c", ["a", "&", "b^c"]),
        ('a %B% "x%B%y" $C', ["a", "<%B%>", "x<%B%>y", "$C"]),
        (r"a C:\b;c(d)", ["a", r"C:\b;c(d)"]),
    ],
)
def test_words_of_cmd_are_split_by_its_rules(text: str, found: list[str]) -> None:
    assert words(text, Language.CMD) == found


@pytest.mark.parametrize("text", ["'", '"', '"$(', "$(", "${", "`", "a <<'E", "$'a'", '"^'])
@pytest.mark.parametrize("language", [Language.SHELL, Language.CMD])
def test_what_is_never_closed_is_refused(text: str, language: Language) -> None:
    if language is Language.SHELL or text in {"'", '"', '"^'}:
        with pytest.raises(NotRead):
            words(text, language)


@settings(deadline=None, max_examples=examples(100))
@given(st.lists(st.text(st.sampled_from("$\\'\"`!#~ \t*?[]{}()|;&<>=%a\n")), min_size=1, max_size=8))
@example(["*", "?", "~", "#", "!", "", "a=b", "$", "a b", "{a,b}", "-n", "'", '"', "\\"])
def test_words_that_another_tool_quoted_are_read(given_words: list[str]) -> None:
    assert words(shlex.join(given_words)) == given_words
