"""What callers have chosen is code in Markdown: nothing in it is rendered, linked, or read as a mention."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from proxy.callers.render.formats import to_markdown
from proxy.callers.render.profile import make_profile
from proxy.callers.render.profile_text import profile_to_markdown
from proxy.callers.report.aggregator import DIMENSIONS, Dimension
from proxy.output.formatting import code, printable, table_code
from tests.callers.lines import DAY, NOW, beats, call
from tests.callers.reports import analyzed

GFM = MarkdownIt("commonmark").enable(["table", "strikethrough"])

HOSTILE = [
    "@evil", "@evil/team", "evil@example.com", "https://evil.example/x", "www.evil.example", "#123evil", "GH-1 evil",
    "evil/repo#1", "evil/repo@0123abcd", "0123456789abcdef0123456789abcdef01234567 evil", "!1evil", "~evil", "$1evil",
    "&evil", "%evil", ":evil:", "<b>evil</b>", "<https://evil.example>", "<!-- evil", "&#64;evil", "[evil](https://x)",
    "![evil](x)", "**evil**", "~~evil~~", "`@evil", "@evil`", "``@evil`", "```\n@evil", "a|@evil", r"a\|@evil",
    r"a\\|@evil", "`|` @evil", "\\`@evil", "| --- |\n@evil", "# evil", "- evil", "> evil", " @evil ", "[[evil]]",
    "[^1]: evil", "$`@evil`$",
]  # fmt: skip


def outside_of_code(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type not in {"code_inline", "fence"}:
            yield token.content if token.children is None else ""
            yield from (str(value) for value in token.attrs.values())
            yield from outside_of_code(token.children or [])


def inside_of_code(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in {"code_inline", "fence"}:
            yield token.content
        yield from inside_of_code(token.children or [])


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("by", DIMENSIONS)
def test_what_callers_say_is_code_in_a_report(tmp_path: Path, text: str, by: Dimension) -> None:
    fields: dict[str, Any] = dict.fromkeys(["owner", "run_user", "user_agent", "workflow", "repo", "endpoint"], text)
    found = analyzed(tmp_path, *beats(NOW - 40 * DAY), call(caller=text, **fields), by=by)
    tokens = GFM.parse(to_markdown(found.report, found.report.rows, found.read))

    assert not [part for part in outside_of_code(tokens) if "evil" in part]
    assert any("evil" in part for part in inside_of_code(tokens))
    heads, cells = (sum(token.type == kind for token in tokens) for kind in ("th_open", "td_open"))
    assert (heads, cells) == (9 + (by not in {"caller", "owner"}),) * 2


@pytest.mark.parametrize("text", HOSTILE)
def test_what_callers_say_is_code_in_a_profile(tmp_path: Path, text: str) -> None:
    names = "owner run_user user_agent workflow endpoint error_code run path org repo method".split()
    fields: dict[str, Any] = dict.fromkeys(names, text)
    analysis = analyzed(tmp_path, call(caller=text, inputs=[text], ignored_fields=[text], status=404, **fields))
    [row] = analysis.report.rows
    profile = make_profile(row, analysis.details[row.name], "https://api.example")
    tokens = GFM.parse(profile_to_markdown(profile, NOW))

    assert not [part for part in outside_of_code(tokens) if "evil" in part]


@given(st.text(st.characters(categories=["L", "P", "S", "Zs", "Cc", "Cf"])))
def test_any_text_is_one_code_span(text: str) -> None:
    [paragraph] = [token for token in GFM.parse(f"x {code(text)} y") if token.type == "inline"]
    before, span, after = paragraph.children or []

    assert (before.content, span.type, after.content) == ("x ", "code_inline", " y")
    assert span.content.strip(" ") == printable(text).strip(" ")


@given(st.text("a|\\` ", max_size=12))
def test_any_text_is_one_cell(text: str) -> None:
    tokens = GFM.parse(f"| a | b |\n| --- | --- |\n| {table_code(text)} | x |")
    # Other than this parser, cmark-gfm takes a backslash behind a backslash for a text of its own.
    assert "|" not in re.findall(r"\\[\\|]|\|", table_code(text))

    inline = [token for token in tokens if token.type == "inline"]
    assert [[part.type for part in token.children or []] for token in inline[2:]] == [["code_inline"], ["text"]]
