"""Finds out what a text is, and reads the calls in it."""

import contextlib
import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from proxy.calls import groovy, javascript, powershell, python
from proxy.calls.call import Language, NotRead, Reading
from proxy.calls.shell import script


class Kind(Enum):
    """What a text can be taken for; the value is what people call it."""

    SHELL = "shell commands"
    CMD = "commands of cmd.exe"
    YAML = "YAML"
    GROOVY = "a Jenkinsfile"
    POWERSHELL = "PowerShell"
    PYTHON = "Python"
    JAVASCRIPT = "JavaScript"


class Recognized(NamedTuple):
    """What a text was taken for, and what was read in it."""

    kind: Kind
    reading: Reading


_BY_SUFFIX = {
    "sh": Kind.SHELL, "bash": Kind.SHELL, "zsh": Kind.SHELL, "bat": Kind.CMD, "cmd": Kind.CMD,
    "groovy": Kind.GROOVY, "jenkinsfile": Kind.GROOVY, "yml": Kind.YAML, "yaml": Kind.YAML,
    "ps1": Kind.POWERSHELL, "psm1": Kind.POWERSHELL, "py": Kind.PYTHON,
    "mk": Kind.SHELL, "makefile": Kind.SHELL, "gnumakefile": Kind.SHELL, "dockerfile": Kind.SHELL,
    "containerfile": Kind.SHELL,
    "js": Kind.JAVASCRIPT, "mjs": Kind.JAVASCRIPT, "cjs": Kind.JAVASCRIPT, "ts": Kind.JAVASCRIPT,
}  # fmt: skip
_MADE_OF_COMMANDS = re.compile(r"(?i)(?:gnu)?makefile\.|(?:docker|container)file\.")
_SHEBANG = re.compile(r"#!.*?(python|node|pwsh|powershell|sh)(?![a-z])")
_BY_SHEBANG = {
    "python": Kind.PYTHON, "node": Kind.JAVASCRIPT, "pwsh": Kind.POWERSHELL, "powershell": Kind.POWERSHELL,
}  # fmt: skip
_SIGNS = (
    (
        Kind.POWERSHELL,
        re.compile(
            r"(?i)\binvoke-(?:restmethod|webrequest)\b|\b(?:irm|iwr)\s+[-\"'$@h(]|\b(?:curl|wget)\s[^\n]*-Uri\s"
        ),
    ),
    (
        Kind.JAVASCRIPT,
        re.compile(
            r"\bfetch\s*\(|\baxios\b|\b(?:const|let) \w+ = |\bJSON\.stringify\(|\brequire\(|\b(?:got|ky)\.\w+\("
        ),
    ),
    (Kind.PYTHON, re.compile(r"\b(?:requests|httpx)\.\w+\(|\burllib\.request\b|\bimport (?:requests|httpx|aiohttp)\b")),
    (Kind.SHELL, re.compile(r"(?<![\w.-])(?:curl|wget)(?:\.exe)?(?![\w.-])|(?m:(?:^|[|&;(])\W*(?:sudo )?https?\s)")),
)
_METHOD = re.compile(r"\.(?:post|request)\(")
_YAML = re.compile(r"\s*(?:#.*\n\s*)*(?:---|-\s+\S|[\w.\"'/-]+:(?:\s|$))")
_OBJECT = re.compile(r"\s*\{\s*(?:[\"}]|\Z)")
_GROOVY = re.compile(r"\bpipeline\s*\{|\bsh\s*\(?\s*(?:script\s*:\s*)?['\"]")
_CARET = re.compile(r"\^[ \t]*\r?\n")
_OTHERS = {
    "Go": r'\bhttp\.(?:NewRequest|Post)\b|"net/http"',
    "PHP": r"\bcurl_(?:init|setopt)\b|<\?php",
    "Ruby": r"\bNet::HTTP\b|\bFaraday\b|\bHTTParty\b",
    "Kotlin": r"\bfun \w+\(|\bval \w+ =",
    "Java": r"\bHttpRequest\.newBuilder\b|\bHttpURLConnection\b|\bOkHttpClient\b",
    "C#": r"\bHttpClient\b|\bRestClient\b",
    "Dart": r"\bUri\.parse\(|package:http\b",
    "Perl": r"\bLWP::UserAgent\b",
    "Groovy": r"\bhttpRequest\b",
    "Rust": r"\breqwest::",
}
_OTHER_SUFFIXES = {
    "go": "Go", "php": "PHP", "rb": "Ruby", "rakefile": "Ruby", "kt": "Kotlin", "kts": "Kotlin", "java": "Java",
    "cs": "C#", "dart": "Dart", "pl": "Perl", "rs": "Rust", "scala": "Scala", "swift": "Swift", "ex": "Elixir",
    "tf": "Terraform",
}  # fmt: skip
_READERS: dict[Kind, Callable[[str], Reading]] = {
    Kind.SHELL: script.read,
    Kind.CMD: lambda text: script.read(text, Language.CMD),
    Kind.GROOVY: groovy.read,
    Kind.POWERSHELL: powershell.read,
    Kind.PYTHON: python.read,
    Kind.JAVASCRIPT: javascript.read,
}


def read(text: str, name: str = "") -> Recognized:
    """Read the calls in a text.

    Args:
        text: a file, or what was pasted from one.
        name: of the file, whose ending says what it is.

    Raises:
        NotRead: it is nothing that can be read; the message says what it was taken for.
    """
    kind = kind_of(text, name)
    if kind is None:
        raise NotRead(_unknown(text, name))
    try:
        if kind is Kind.YAML:
            return _yaml(text)
        return Recognized(kind, _READERS[kind](text))
    except NotRead as error:
        raise NotRead(f"taken for {kind.value}, and not read: {error}") from None


def is_body(text: str) -> bool:
    """Whether a text is a body, rather than source code."""
    start = text.lstrip()[:1]
    return not start or bool(_OBJECT.match(text)) or (start in '{["' and kind_of(text) is None)


def kind_of(text: str, name: str = "") -> Kind | None:
    """What a text is, by its name, its first line, or the first call in it."""
    suffix = _suffix(name)
    if suffix in _BY_SUFFIX or suffix in _OTHER_SUFFIXES:
        return _BY_SUFFIX.get(suffix)
    if _MADE_OF_COMMANDS.match(name.rpartition("/")[2]):
        return Kind.SHELL
    if shebang := _SHEBANG.match(text):
        return _BY_SHEBANG.get(shebang[1], Kind.SHELL)
    found = [(match.start(), kind) for kind, sign in _SIGNS if (match := sign.search(text))]
    kind = min(found, key=lambda one: one[0])[1] if found else None
    if kind is None and _METHOD.search(text) and not _other_language(text):
        return Kind.PYTHON
    if kind is Kind.SHELL and _GROOVY.search(text):
        return Kind.GROOVY
    if kind is Kind.SHELL and _YAML.match(text):
        return Kind.YAML
    return Kind.CMD if kind is Kind.SHELL and _CARET.search(text) else kind


def _yaml(text: str) -> Recognized:
    from proxy.calls import yaml_file  # noqa: PLC0415 - slow to import

    try:
        return Recognized(Kind.YAML, yaml_file.read(text))
    except NotRead as error:
        # A line such as `- curl -H "A: b"` need not be YAML, nor a file with templates.
        with contextlib.suppress(NotRead):
            reading = script.read(text)
            if reading.calls:
                return Recognized(Kind.SHELL, reading)
        raise error from None


def _other_language(text: str) -> str | None:
    return next((language for language, sign in _OTHERS.items() if re.search(sign, text)), None)


def _suffix(name: str) -> str:
    return name.replace("/", ".").rpartition(".")[2].lower()


def _unknown(text: str, name: str) -> str:
    if language := _OTHER_SUFFIXES.get(_suffix(name)) or _other_language(text):
        return f"taken for {language}, which cannot be read: translate the body that it sends with --path"
    return (
        "this is neither JSON nor a call that can be read: write the body, or a call with curl, wget, HTTPie,"
        " Python's requests or httpx, JavaScript's fetch or axios, or PowerShell's Invoke-RestMethod"
    )
