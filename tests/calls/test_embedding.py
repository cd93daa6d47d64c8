"""Where the characters of strings of other languages stand in a file, and how they are written."""

import pytest
import yaml

from proxy.calls import groovy
from proxy.calls.embedding import Quoting, encode, places


@pytest.mark.parametrize(
    ("text", "quoting", "inside"),
    [
        ("a:\n  b c\n  d\n", Quoting.YAML_PLAIN, (5, 12)),
        ("'it''s  a\n   b'", Quoting.YAML_SINGLE, (1, -1)),
        ('"a \\"b\\" \\\\ c\\n\\td\n  e\\\n  f"', Quoting.YAML_DOUBLE, (1, -1)),
        (">\n  a\n  b\n\n    c\n  d\n", Quoting.YAML_FOLDED, (2, None)),
        ("a: >-\r\n  a\r\n  b\r\n", Quoting.YAML_FOLDED, (7, None)),
    ],
)
def test_each_character_of_a_scalar_is_found(text: str, quoting: Quoting, inside: tuple[int, int | None]) -> None:
    loaded = yaml.safe_load(text)
    value = loaded["a"] if isinstance(loaded, dict) else loaded
    start, end, _ = slice(*inside).indices(len(text))
    found = places(value, text, start, end, quoting)
    assert found is not None
    for at, char in enumerate(value):
        if not char.isspace():
            assert text[slice(*found.span(at, at + 1))] in {char, f"\\{char}", f"{char}{char}"}


def test_an_escape_that_is_not_known_is_not_found() -> None:
    assert places("a b", r'"a\x20b"', 1, 7, Quoting.YAML_DOUBLE) is None


@pytest.mark.parametrize("text", ["it's", 'say "x"', "a \\ b", "'''", '"""', "a'", 'a"'])
@pytest.mark.parametrize("quotes", ["'", '"', "'''", '"""'])
def test_what_is_written_for_groovy_is_read_as_it_was(text: str, quotes: str) -> None:
    quoting = Quoting.GROOVY_SINGLE if quotes[0] == "'" else Quoting.GROOVY_DOUBLE
    written = encode(text, quoting, is_triple=len(quotes) == 3 and text[-1] not in "'\"")
    (step,) = groovy.STEP.finditer(f"sh {quotes}{written}{quotes} ")
    assert groovy.unescaped(step["text"]) == text


@pytest.mark.parametrize("text", ["it's", 'say "x"', "a \\ b", "a: b # c"])
@pytest.mark.parametrize(("quoting", "quote"), [(Quoting.YAML_SINGLE, "'"), (Quoting.YAML_DOUBLE, '"')])
def test_what_is_written_for_yaml_is_read_as_it_was(text: str, quoting: Quoting, quote: str) -> None:
    assert yaml.safe_load(f"{quote}{encode(text, quoting)}{quote}") == text
