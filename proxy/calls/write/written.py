"""What writers return, and what they share."""

import re
from enum import Enum
from typing import NamedTuple

from proxy.calls import urls
from proxy.calls.call import Call, Language, Variable

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Target(Enum):
    """What a new call can be written for."""

    CURL = "curl"
    HTTPIE = "httpie"
    PYTHON = "python"
    JAVASCRIPT = "javascript"
    SRC = "src"


class Written(NamedTuple):
    """A new call, ready to paste, and notes for its owner."""

    text: str
    notes: list[str]


class Names:
    """Writes the variables of a call in another language, where they come from the environment.

    Args:
        call: the call.
        language: what it is written in.
    """

    def __init__(self, call: Call, language: Language) -> None:
        self._call = call
        self._language = language
        self._used: dict[str, str] = {}

    def expression(self, char: str) -> str:
        """The variable that a character stands for, as an expression."""
        variable = self._call.variables[char]
        if self._call.language is self._language:
            return variable.source
        name = self._name(variable)
        match self._language:
            case Language.PYTHON:
                return f'os.environ["{name}"]'
            case Language.JAVASCRIPT:
                return f"process.env.{name}"
            case _:
                return f"${{{name}}}"

    def _name(self, variable: Variable) -> str:
        if variable.source not in self._used:
            is_name = variable.name is not None and _IDENTIFIER.fullmatch(variable.name)
            name = variable.name if variable.name and is_name else "VALUE"
            taken = set(self._used.values())
            number = 2
            while name in taken:
                name, number = f"{variable.name or 'VALUE'}_{number}", number + 1
            self._used[variable.source] = name
        return self._used[variable.source]

    def notes(self) -> list[str]:
        """What has to be in the environment."""
        names = [
            name if _is_plain(source, name) else f"{name} (for {' '.join(source.split())})"
            for source, name in self._used.items()
        ]
        return [f"the new call reads from the environment: {', '.join(names)}"] if names else []


def _is_plain(source: str, name: str) -> bool:
    """Whether a name says all that the source does."""
    return name in re.split(r"\W+", source) and len(source) <= len(name) + len('process.env[""]')


def pieces(text: str, call: Call) -> list[tuple[str, bool]]:
    """A text in pieces, each with whether it is the character of a variable."""
    found: list[tuple[str, bool]] = []
    for char in text:
        if char in call.variables:
            found.append((char, True))
        elif found and not found[-1][1]:
            found[-1] = (found[-1][0] + char, False)
        else:
            found.append((char, False))
    return found


def absolute(call: Call, *, is_same: bool) -> tuple[str, list[str]]:
    """The URL with what the program of the call adds to it, and a note on that.

    Args:
        call: the call.
        is_same: whether the new call is made by the same program.
    """
    if is_same or "://" in call.url or call.url[:1] in call.variables:
        return call.url, []
    if call.url.startswith("/"):  # a client that has the address
        return urls.SERVICE + call.url, ["its URL has no host, so the address of the service was put before it"]
    return f"http://{call.url}", []


def headers_of(call: Call, *, is_same: bool) -> tuple[list[tuple[str, str]], list[str]]:
    """The headers that can be written, and notes on those that cannot.

    Args:
        call: the call.
        is_same: whether it is written in the language that it was read in, where a variable can hold several headers.
    """
    if is_same:
        return list(call.headers), []
    several = [name for name, value in call.headers if name in call.variables and not value]
    notes = [f"{call.shown(name)}: it holds headers, which are not in the new call: write them out" for name in several]
    return [header for header in call.headers if header[0] not in several], notes


def left_out(call: Call, *, checks_status: bool = False) -> list[str]:
    """A note for each option that only the program of the call understands.

    Args:
        call: the call.
        checks_status: whether the new call fails with the status.
    """
    ignored = _SILENT | (_FAIL if checks_status else frozenset())
    return [
        f"{words[0]}: not in the new call{_ADVICE.get(words[0], '; see whether you need it')}"
        for words in call.options
        if words[0] not in ignored and words[-1] not in {"-", "/dev/null"}
    ]


_SILENT = frozenset("-s --silent -S --show-error -v --verbose -q --quiet -nv --no-verbose".split())
"""Options that only change what is shown."""

_FAIL = frozenset("-f --fail --fail-with-body --check-status".split())
_ADVICE = {
    **dict.fromkeys("-o --output -O --output-document".split(), "; the answer is not written to a file"),
    **dict.fromkeys("-w --write-out".split(), "; print what you need of the answer"),
    **dict.fromkeys(_FAIL, "; check the status of the answer"),
    **dict.fromkeys("--retry --tries -t".split(), "; a second try can start a second run"),
    **dict.fromkeys("-m --max-time --connect-timeout --timeout -T timeout".split(), "; set a timeout of your own"),
    **dict.fromkeys("-H --header".split(), ": write the headers out"),
}
