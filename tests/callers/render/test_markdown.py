import pytest
from markdown_it import MarkdownIt

from proxy.callers.render.markdown import link, words


@pytest.mark.parametrize("text", ["team-a", "Team A", "Größe 7", "deadbeef", "bad"])
def test_words_stay_as_they_are(text: str) -> None:
    assert words(text) == text if text != "deadbeef" else words(text) == "`deadbeef`"


@pytest.mark.parametrize(
    "text", ["*a*", "a_b_", "<b>", "@team", "#1", "a  b", "-a", "www.example.org", "a\nb", "", "1. a"]
)
def test_other_text_is_code(text: str) -> None:
    assert MarkdownIt("commonmark").renderInline(words(text)).startswith("<code>")


def test_an_address_is_a_link_and_nothing_else_is() -> None:
    assert link("https://docs.example/a?b=c#d") == "<https://docs.example/a?b=c#d>"
    for text in ("javascript:alert(1)", "https://a b", "https://a>b", "https://a\nb", "docs"):
        assert link(text).startswith("`")
