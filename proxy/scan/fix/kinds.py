"""The kinds of files whose calls are changed."""

import re

from proxy.calls import reader
from proxy.calls.reader import Kind

__all__ = ["Kind", "kind_of", "problem"]

_LARGEST = 1 << 20
"""How long a file may be whose calls are changed, in characters. Paths are changed in any file."""

_SHELL = re.compile(
    r"(?:.*\.)?(?:sh|bash|zsh|ksh|mk)|(?:GNU)?[Mm]akefile(?:\..*)?|(?:.*\.)?(?:[Dd]ocker|[Cc]ontainer)file(?:\..*)?"
)
_KINDS = frozenset({Kind.YAML, Kind.GROOVY, Kind.PYTHON, Kind.JAVASCRIPT})
_NAMES = "shell scripts, Makefiles, Dockerfiles, YAML, Jenkinsfiles, Python and JavaScript"


def kind_of(text: str, file: str) -> Kind | None:
    """What a file is read as."""
    return reader.kind_of(text, file)


def problem(text: str, file: str) -> str | None:
    """Why the calls in a file are not changed, if they are not: a document, for example, only looks like commands."""
    if len(text) > _LARGEST:
        return "calls are changed only in files of up to 1 MiB"
    kind = kind_of(text, file)
    is_shell = kind is Kind.SHELL and (_SHELL.fullmatch(file.rpartition("/")[2]) or text.startswith("#!"))
    return None if is_shell or kind in _KINDS else f"calls are changed only in {_NAMES}"
