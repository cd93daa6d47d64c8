"""Parses JavaScript and PowerShell with tree-sitter, an optional dependency."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from proxy.calls.call import Call, Language, NotRead, Reading, Span, Variables, in_order

if TYPE_CHECKING:
    from tree_sitter import Node
else:
    Node = object

__all__ = ["INSTALL", "Node", "Tree", "TreeReader"]

INSTALL = "pip install 'trigger-shim[fix]'"
"""The command that installs what is missing."""

_GRAMMARS = {Language.JAVASCRIPT: "tree_sitter_javascript", Language.POWERSHELL: "tree_sitter_powershell"}


class Tree:
    """The syntax tree of a text.

    Attributes:
        root: its node.
    """

    def __init__(self, text: str, language: Language) -> None:
        """Parse a text.

        Raises:
            NotRead: the parser is not installed.
        """
        try:
            tree_sitter, grammar = import_module("tree_sitter"), import_module(_GRAMMARS[language])
        except ImportError:
            raise NotRead(f"the parser of {language.value} is missing: {INSTALL}") from None
        self._bytes = text.encode("utf-8", "surrogatepass")
        parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
        self._tree = parser.parse(self._bytes)
        self.root: Node = self._tree.root_node

    def walk(self, kind: str) -> Iterator[Node]:
        """The nodes of a kind, in the order of the text."""
        pending = [self.root]
        while pending:
            node = pending.pop()
            if node.type == kind:
                yield node
            pending += reversed(node.children)

    def source(self, node: Node) -> str:
        """The text of a node."""
        return self.between(node.start_byte, node.end_byte)

    def between(self, start: int, end: int) -> str:
        """The text between two bytes."""
        return self._bytes[start:end].decode("utf-8", "replace")

    def span(self, node: Node) -> Span:
        """The place of a node in the text, in characters."""
        start = len(self.between(0, node.start_byte))
        return Span(start, start + len(self.source(node)))


class TreeReader(ABC):
    """Reads the calls in the syntax tree of a text."""

    language: ClassVar[Language]

    def __init__(self, text: str) -> None:
        self._tree = Tree(text, self.language)
        self._variables = Variables(text)
        self._known = self._assigned_once()
        self._resolved_names: list[str] = []

    @classmethod
    def read(cls, text: str) -> Reading:
        """Read a file, or a piece of one.

        Raises:
            NotRead: the parser is not installed, or the text is nested too deeply.
        """
        try:
            return in_order(text, cls(text).calls())
        except RecursionError:
            raise NotRead("it is nested too deeply") from None

    @abstractmethod
    def calls(self) -> list[Call]:
        """The calls in the text."""

    @abstractmethod
    def _assigned_once(self) -> dict[str, Node]:
        """The variables that are set once, each with what it is set to."""

    @abstractmethod
    def _value(self, node: Node) -> Any:
        """The value of an expression, as far as it is written out."""

    def _text(self, node: Node | None) -> str | None:
        value = self._value(node) if node is not None else None
        return value if isinstance(value, str) else None
