import sys

import pytest

from proxy.calls import reader
from proxy.calls.call import Language, NotRead
from proxy.calls.syntax import Tree
from tests.calls.reading import URL


@pytest.mark.parametrize(
    ("text", "kind"), [(f"fetch('{URL}')", "JavaScript"), (f"Invoke-RestMethod {URL}", "PowerShell")]
)
def test_without_the_parser_one_line_names_the_command_that_installs_it(
    text: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    with pytest.raises(NotRead) as caught:
        reader.read(text)
    assert str(caught.value) == (
        f"taken for {kind}, and not read: the parser of {kind} is missing: pip install 'trigger-shim[fix]'"
    )


def test_without_the_parser_everything_else_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    for text in (f"curl {URL}", f"requests.post('{URL}')", f"- curl {URL}"):
        assert len(reader.read(text).reading.calls) == 1


def test_nodes_come_in_the_order_of_the_text_with_their_places_in_characters() -> None:
    tree = Tree("é(a); 😀; b(c(d))", Language.JAVASCRIPT)
    found = list(tree.walk("call_expression"))
    assert [tree.source(node) for node in found] == ["é(a)", "b(c(d))", "c(d)"]
    assert [tree.span(node) for node in found] == [(0, 4), (9, 16), (11, 15)]
