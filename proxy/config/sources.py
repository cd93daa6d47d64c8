"""Where the configuration comes from: the file, the environment over it, the flags over both; as plain values."""

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
    """A source is no YAML, or not there; the message names it, and the fix."""


def layered(file: str | None, environment: Mapping[str, str], flags: Values) -> tuple[Values, list[str]]:
    """What all sources say.

    Args:
        file: path of the file; None for `DEFAULT_FILE` in the working folder, or nothing where there is none.
        environment: of the process; only variables that begin with `ENVIRONMENT_PREFIX` count.
        flags: values by top-level key or section, which override both.

    Returns:
        The values, and a sentence on each that cannot be laid over another.

    Raises:
        Unreadable: the file cannot be used at all.
    """
    values = _read_file(file)
    problems = _lay_environment_over(values, environment) + _lay_over(values, flags)
    return values, problems


def written(values: Values) -> str:
    """The file that holds some values."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # PyYAML takes the last of two equal keys without a word.
        node = super().compose_mapping_node(anchor)
        seen: list[Any] = []
        for key, _ in node.value:
            if key.value in seen:
                problem = f"the key {shown_key(key.value)} stands twice"
                raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
            seen.append(key.value)
        return node


# A date stays the text that it is, so that a wrong one is found where its key is known.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _yaml(text: str, source: str) -> Any:
    try:
        # SafeLoader underneath: it makes plain values only.
        return yaml.load(text, _Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise Unreadable(f"{source}: {_one_line(error)}; mend the YAML") from None
    except RecursionError:
        raise Unreadable(f"{source}: nested too deeply; mend the YAML") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # PyYAML's own faults, on "!!int x", "!!bool x", "!!timestamp x" and numbers of thousands of digits.
        raise Unreadable(f"{source}: a number is too long, or a value does not fit its !tag; mend it") from None


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
        raise Unreadable(f"{path}: holds {described(values)}; write keys and values: 'listen: 127.0.0.1:8080'")
    return values


_QUOTED = re.compile(r"""('.')|'[^']*'|"[^"]*\"""")


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}: " if mark else ""
    text = " ".join(str(getattr(error, "problem", None) or error).split())
    # More than a character of the source may be a secret.
    return place + _QUOTED.sub(lambda quoted: quoted[1] or "'…'", text)


def _lay_environment_over(values: Values, environment: Mapping[str, str]) -> list[str]:
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
        problems += _lay_over(values, value)
    return problems


def _lay_over(values: Values, upper: Values, prefix: str = "") -> list[str]:
    problems = []
    for key, value in upper.items():
        where, below = f"{prefix}{shown_key(key)}", values.get(key)
        if not isinstance(value, dict) or below is None:
            values[key] = value
        elif isinstance(below, dict):
            problems += _lay_over(below, value, f"{where}.")
        else:
            problems.append(f"{where}: given a value in one place and keys in another; leave one of them out")
    return problems
