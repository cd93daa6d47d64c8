"""Reads sections of the file into typed values, and turns the values back into sections."""

import dataclasses
import difflib
import keyword
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from proxy.config import values
from proxy.config.values import MASK, Address, LedgerAddress, Secret, UnixPath, described, shown_key


class Section(NamedTuple):
    """Converts between a section of the file and a class that is not a dataclass; annotate the class with it.

    Attributes:
        make: builds the value. Its parameters are the keys and their types, with a trailing underscore where a key is
            a Python keyword. Raises `ValueError` if the keys do not fit together.
        keys: the keys of a value; None for a named tuple with the same fields, in the same order.
    """

    make: Callable[..., Any]
    keys: Callable[[Any], dict[str, Any]] | None = None

    @property
    def kinds(self) -> dict[str, Any]:
        """The type of each key."""
        hints = typing.get_type_hints(self.make, include_extras=True)
        return {name.rstrip("_"): kind for name, kind in hints.items() if name != "return"}


def kind_at(kind: Any, keys: Sequence[str]) -> Any:
    """The type of a key, without ``| None``; None if there is no such key.

    Args:
        kind: of the section that has it.
        keys: the key, below those of its sections.
    """
    for key in keys:
        section = _section(kind)
        kind = _without_none(section.kinds.get(key)) if section is not None else None
    return kind


def keys_of(kind: Any, above: str = "") -> Iterator[str]:
    """All keys of a section and of those in it, with dots."""
    section = _section(kind)
    for key, inner in section.kinds.items() if section is not None else ():
        yield f"{above}{key}"
        yield from keys_of(_without_none(inner), f"{above}{key}.")


def is_text(kind: Any) -> bool:
    """Whether the values of a type are text in the file: not numbers, flags, lists or sections."""
    is_plain = typing.get_origin(kind) is Annotated and _section(kind) is None
    return is_plain and typing.get_args(kind)[0] not in {int, float, bool} and not _is_list(typing.get_args(kind)[0])


def _is_list(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple


def _without_none(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) in {types.UnionType, typing.Union} else kind


def read(kind: Any, value: Any, where: str, problems: list[str]) -> Any:
    """Read a value from the YAML; if it is wrong, add why to `problems` and return None.

    Args:
        kind: the type: a kind of value, a section, a tuple of either, or any of these ``| None``.
        value: from the YAML.
        where: the full key; empty for the whole file.
        problems: one sentence per wrong value, with its key and the fix.
    """
    try:
        return _read(kind, value, where, problems)
    except ValueError as error:
        problems.append(f"{where}: {error}")
        return None


def _read(kind: Any, value: Any, where: str, problems: list[str]) -> Any:
    if value is None and _without_none(kind) is not kind:
        return None
    kind = _without_none(kind)
    if _is_list(kind):
        return _read_list(typing.get_args(kind)[0], value, where, problems)
    section = _section(kind)
    return values.read(kind, value) if section is None else _read_section(section, value, where, problems)


def _read_list(kind: Any, items: Any, where: str, problems: list[str]) -> tuple[Any, ...]:
    if not isinstance(items, list):
        raise ValueError(f"is {described(items)}; write a list")
    return tuple(read(kind, item, f"{where}[{index}]", problems) for index, item in enumerate(items))


def _read_section(section: Section, given: Any, where: str, problems: list[str]) -> Any:
    if not isinstance(given, dict):
        raise ValueError(f"is {described(given)}; write its keys: {', '.join(section.kinds)}")
    before, kinds, keys = len(problems), section.kinds, {}
    for key, value in given.items():
        place = _below(where, shown_key(key))
        if key in kinds:
            keys[f"{key}_" if keyword.iskeyword(key) else key] = read(kinds[key], value, place, problems)
        else:
            problems.append(f"{place}: unknown key; {_known(str(key), where, kinds)}")
    try:
        return section.make(**keys)
    except ValueError:
        if len(problems) > before:  # a wrong key may be why
            return None
        raise


def _known(key: str, where: str, kinds: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, kinds, 1, 0.5)
    return f"did you mean {_below(where, near[0])}?" if near else f"the keys here are {', '.join(kinds)}"


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _section(kind: Any) -> Section | None:
    if dataclasses.is_dataclass(kind):
        return Section(typing.cast("Callable[..., Any]", kind), vars)
    if typing.get_origin(kind) is Annotated and isinstance(kind.__metadata__[0], Section):
        return kind.__metadata__[0]
    return None


def plain(kind: Any, value: Any) -> Any:
    """Convert a value to plain YAML types, with secrets masked."""
    kind = _without_none(kind)
    if (section := _section(kind)) is not None and value is not None:
        kinds = section.kinds
        keys = section.keys(value) if section.keys is not None else dict(zip(kinds, value, strict=True))
        return {key: plain(kinds[key], item) for key, item in keys.items()}
    if _is_list(kind):
        return [plain(typing.get_args(kind)[0], item) for item in value]
    if kind == Secret and value:
        return MASK
    if kind == LedgerAddress and value:
        return values.without_password(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.days}d"
    if isinstance(value, tuple) and not isinstance(value, (Address, UnixPath)):
        return [str(item) for item in value]
    return value if isinstance(value, (int, float, type(None))) else str(value)
