"""Merges the sources of the configuration: flags override the environment, which overrides the file."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from proxy.callers.log.files import STDOUT
from proxy.config.values import described, shown_key

ENVIRONMENT_PREFIX = "TRIGGER_SHIM__"
DEFAULT_FILE = "config.yaml"

Values = dict[str, Any]


class Unreadable(Exception):
    """A source cannot be read or is not YAML; the message names it and the fix."""


class Schema(NamedTuple):
    """What the sources have to know of the keys.

    Attributes:
        keys: all of them, with dots.
        is_text: whether the value of a key is text, which the environment gives as it is.
        is_path: whether it is the path of a file.
    """

    keys: frozenset[str]
    is_text: Callable[[Sequence[str]], bool]
    is_path: Callable[[Sequence[str]], bool]


def layered(
    file: str | None, environment: Mapping[str, str], flags: Values, schema: Schema
) -> tuple[Values, dict[str, str | None], list[str]]:
    """Merge all sources.

    Args:
        file: path of the file; None for `DEFAULT_FILE` in the working folder, which may be missing. Relative paths in
            it count from its folder.
        environment: of the process; variables that do not begin with `ENVIRONMENT_PREFIX` are ignored.
        flags: values by top-level key or section; these override the other two.
        schema: of the keys.

    Returns:
        The values; for each key that is not from the file the variable, or None if it is from a flag; and one sentence
        for each value that cannot be merged.

    Raises:
        Unreadable: the file cannot be read or is not YAML.
    """
    values = _read_file(file)
    _resolve(values, _folder(file or DEFAULT_FILE), schema)
    variables: Values = {}
    problems = _merge_environment(variables, environment, schema)
    overridden = {key: variable(key) for key in _paths(variables)} | dict.fromkeys(_paths(flags))
    problems += _merge(variables, flags)
    problems += _merge(values, variables)
    return values, overridden, problems


def with_places(problems: Iterable[str], file: str | None, overridden: Mapping[str, str | None]) -> list[str]:
    """Add the line of the file, or the variable, to each problem of a key.

    Args:
        problems: sentences that begin with the key and a colon.
        file: as in `layered`.
        overridden: the variables of keys that are not from the file, as `layered` returns them.
    """
    path = Path(file or DEFAULT_FILE)
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, ValueError, yaml.YAMLError):
        root = None
    places: dict[str, str | None] = {key: f"{path} line {line}" for key, line in _lines(root)} if root else {}
    places |= overridden

    def with_place(problem: str) -> str:
        key = problem.partition(": ")[0]
        while key not in places:
            shorter = re.match(r"(.*)(?:\.[^.\[]*|\[\d+\])$", key)
            if shorter is None:
                return problem
            key = shorter[1]
        return problem if (place := places[key]) is None else f"{problem} ({place})"

    return [with_place(problem) for problem in problems]


def _lines(node: yaml.Node, above: str = "") -> Iterator[tuple[str, int]]:
    """Each key in a file, with its line."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            where = f"{above}.{key.value}" if above else str(key.value)
            yield where, key.start_mark.line + 1
            yield from _lines(value, where)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield f"{above}[{index}]", value.start_mark.line + 1
            yield from _lines(value, f"{above}[{index}]")


def _paths(values: Values, above: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def _folder(file: str) -> Path:
    folder = Path(file).parent
    is_nowhere = file.startswith(("/dev/", "/proc/"))  # a descriptor, such as /dev/stdin
    return Path() if is_nowhere or folder.resolve() == Path.cwd() else folder


def _resolve(values: Values, folder: Path, schema: Schema, above: tuple[str, ...] = ()) -> None:
    """Have relative paths in the values begin with a folder."""
    for name, value in values.items():
        keys = (*above, str(name))
        if isinstance(value, dict):
            _resolve(value, folder, schema, keys)
        elif (
            isinstance(value, str) and value.strip() and value != STDOUT and "://" not in value and schema.is_path(keys)
        ):
            values[name] = str(folder / value)


def to_yaml(values: Values) -> str:
    """Format values as YAML."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # PyYAML silently takes the last of two equal keys.
        node = super().compose_mapping_node(anchor)
        seen: list[Any] = []
        for key, _ in node.value:
            if key.value in seen:
                problem = f"the key {shown_key(key.value)} is duplicated"
                raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
            seen.append(key.value)
        return node


# Dates stay strings, so that a wrong date is reported with its key.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _yaml(text: str, source: str) -> Any:
    try:
        # A SafeLoader underneath, which makes only plain values.
        return yaml.load(text, _Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise Unreadable(f"{source}: {_one_line(error)}; {_remedy(error)}") from None
    except RecursionError:
        raise Unreadable(f"{source}: nested too deeply; fix the YAML") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # PyYAML's own bugs, on "!!int x", "!!bool x", "!!timestamp x" and numbers of thousands of digits.
        raise Unreadable(f"{source}: a number is too long, or a value does not fit its !tag; fix it") from None


def _read_file(file: str | None) -> Values:
    path = Path(file or DEFAULT_FILE)
    if file is None and not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}; name the file with --config") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{path}: not UTF-8; save it as UTF-8") from None
    values = _yaml(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise Unreadable(f"{path}: is {described(values)}; write keys and values, such as 'listen: 127.0.0.1:8080'")
    return values


def _remedy(error: yaml.YAMLError) -> str:
    text = str(error)
    if "'\\t'" in text:
        return "write spaces instead of the tab"
    if "alias" in text:
        return 'write a value that begins with * in quotes, such as "*"'
    return "fix the YAML"


_QUOTED = re.compile(r"""('.')|'[^']*'|"[^"]*\"""")


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}: " if mark else ""
    text = " ".join(str(getattr(error, "problem", None) or error).split())
    # Quoted source text may be a secret, unless it is a single character.
    return place + _QUOTED.sub(lambda quoted: quoted[1] or "'…'", text)


def _merge_environment(values: Values, environment: Mapping[str, str], schema: Schema) -> list[str]:
    problems = []
    meant = {key.replace(".", "_"): key for key in schema.keys}
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX[:-1]):
            continue
        keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        key = meant.get(name.removeprefix(ENVIRONMENT_PREFIX[:-1]).lower().strip("_").replace("__", "_"))
        if key is not None and key != ".".join(keys):
            problems.append(f"{name}: unknown variable; did you mean {variable(key)}?")
        elif name.startswith(ENVIRONMENT_PREFIX):
            try:
                value: Any = _text(text) if schema.is_text(keys) else _yaml(text, name)
            except Unreadable as error:
                problems.append(str(error))
                continue
            for part in reversed(keys):
                value = {part: value}
            problems += _merge(values, value)
    return problems


def variable(key: str) -> str:
    """The environment variable that sets a key."""
    return ENVIRONMENT_PREFIX + key.replace(".", "__").upper()


def _text(text: str) -> str | None:
    """A value as it is: not as YAML, in which a # or a colon has a meaning."""
    text = text.strip()
    if text in {"", "null", "~"}:
        return None
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""  # as a file would have it
    return text[1:-1] if is_quoted else text


def _merge(values: Values, upper: Values, prefix: str = "") -> list[str]:
    problems = []
    for key, value in upper.items():
        where, below = f"{prefix}{shown_key(key)}", values.get(key)
        if not isinstance(value, dict) or below is None:
            values[key] = value
        elif isinstance(below, dict):
            problems += _merge(below, value, f"{where}.")
        else:
            problems.append(f"{where}: has a value in one source and keys in another; remove one of them")
    return problems
