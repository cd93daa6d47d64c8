"""Merges the sources of the configuration: flags override the environment, which overrides the file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from proxy.config.values import described, shown_key

ENVIRONMENT_PREFIX = "TRIGGER_SHIM__"
DEFAULT_FILE = "config.yaml"

Values = dict[str, Any]


class Unreadable(Exception):
    """A source cannot be read or is not YAML; the message names it and the fix."""


def layered(file: str | None, environment: Mapping[str, str], flags: Values) -> tuple[Values, list[str]]:
    """Merge all sources.

    Args:
        file: path of the file; None for `DEFAULT_FILE` in the working folder, which may be missing.
        environment: of the process; variables that do not begin with `ENVIRONMENT_PREFIX` are ignored.
        flags: values by top-level key or section; these override the other two.

    Returns:
        The values, and one sentence for each that cannot be merged.

    Raises:
        Unreadable: the file cannot be read or is not YAML.
    """
    values = _read_file(file)
    problems = _merge_environment(values, environment) + _merge(values, flags)
    return values, problems


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
        raise Unreadable(f"{source}: {_one_line(error)}; fix the YAML") from None
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


_QUOTED = re.compile(r"""('.')|'[^']*'|"[^"]*\"""")


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}: " if mark else ""
    text = " ".join(str(getattr(error, "problem", None) or error).split())
    # Quoted source text may be a secret, unless it is a single character.
    return place + _QUOTED.sub(lambda quoted: quoted[1] or "'…'", text)


def _merge_environment(values: Values, environment: Mapping[str, str]) -> list[str]:
    problems = []
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        try:
            value = _yaml(text, name)
        except Unreadable as error:
            problems.append(str(error))
            continue
        for key in reversed(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")):
            value = {key: value}
        problems += _merge(values, value)
    return problems


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
