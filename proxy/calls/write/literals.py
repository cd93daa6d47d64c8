"""Writes JSON values as literals of a programming language."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from proxy.calls.call import Call

_WIDTH = 100


class Number(str):
    """A number, as it was written."""

    __slots__ = ()


class Style(NamedTuple):
    """How a language writes literals.

    Attributes:
        words: what true, false and null are.
        text: writes a string, which may have variables.
        key: writes the key of an object.
    """

    words: dict[bool | None, str]
    text: Callable[[str], str]
    key: Callable[[str], str]


def parse(body: str) -> Any:
    """A JSON text as a value; numbers stay as they are written.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(body, parse_int=Number, parse_float=Number, parse_constant=Number)


def write(value: Any, style: Style, call: Call, indent: str = "") -> str:
    """A value as a literal: in one line if it fits, else with one item on a line."""
    if isinstance(value, dict):
        items = [f"{style.key(key)}: {write(item, style, call, indent + '    ')}" for key, item in value.items()]
        return _joined("{", items, "}", indent)
    if isinstance(value, list):
        variable = call.variables.get(value[0]) if len(value) == 1 and isinstance(value[0], str) else None
        if variable is not None and variable.is_list:
            return style.text(value[0])
        return _joined("[", [write(item, style, call, indent + "    ") for item in value], "]", indent)
    if isinstance(value, Number):
        return str(value)
    return style.text(value) if isinstance(value, str) else style.words[value]


def _joined(opening: str, items: list[str], closing: str, indent: str) -> str:
    line = f"{opening}{', '.join(items)}{closing}"
    if len(indent) + len(line) <= _WIDTH and "\n" not in line:
        return line
    inner = f",\n{indent}    ".join(items)
    return f"{opening}\n{indent}    {inner},\n{indent}{closing}"
