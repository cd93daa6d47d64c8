"""Which URLs are those of withdrawn endpoints."""

import re
from collections.abc import Callable

from proxy.withdrawn import endpoints
from proxy.withdrawn.endpoints import Match

SERVICE = "https://api.sourcecraft.tech"
"""The base address of the service."""

IN_THE_VARIABLE = "in-the-variable"
"""Stands for the repository where one variable holds both the organization and the repository."""

_PROJECT = re.compile(r"(?<=^/)([\ue000-\uf8ff]|\$?\{\{[^{}/]+\}\}|\$\(\w+\)|\$\{[\w.]+\})(?=/ci_workflows/)")
"""A variable, or a template that is filled in before the program runs, as the only segment before the workflow."""
_OF_ANY_API = frozenset({"update_repository", "delete_repository"})
"""Endpoints whose path of two segments says little."""

_SUCCESSOR = re.compile(r"/repos/(?:[^/]+/)?[^/]+/cicd/")

_LIMIT = 5
"""How many variables may stand in each other."""

_LENGTH = 4096


def split(url: str) -> tuple[str, str]:
    """The base address, which may be a variable, and the path without the query."""
    scheme, separator, rest = url.partition("?")[0].partition("://")
    if not separator:
        scheme, rest = "", scheme
    host, slash, path = rest.partition("/")
    return scheme + separator + host, slash + path


def match(method: str, url: str) -> Match | None:
    """The withdrawn endpoint that a call is for, if any."""
    base, path = split(url)
    path = _PROJECT.sub(rf"\1/{IN_THE_VARIABLE}", path)
    found = endpoints.match(method, path.encode("utf-8", "surrogateescape").decode("latin-1"))
    if found and found.endpoint.name in _OF_ANY_API and base.isascii() and "sourcecraft" not in base:
        return None
    return found


def is_withdrawn(method: str, url: str) -> bool:
    """Whether it is the URL of a withdrawn endpoint, or of the trigger with another method."""
    return match(method, url) is not None or is_trigger(url)


def is_known(method: str, url: str) -> bool:
    """Whether it is the URL of a withdrawn endpoint, or of a successor."""
    return is_withdrawn(method, url) or bool(_SUCCESSOR.match(split(url)[1]))


def is_trigger(url: str) -> bool:
    """Whether it is the URL of the withdrawn trigger."""
    found = match("POST", url)
    return found is not None and found.endpoint.is_trigger


def filled_in(method: str, url: str, known: Callable[[str], str | None]) -> tuple[str, list[str]]:
    """A URL with the values of its variables, where only they show that it is withdrawn.

    Args:
        method: of the call.
        url: with variables.
        known: the value of a variable by its character, if it is known; it may have variables, too.

    Returns:
        The URL, and the characters of the variables that were replaced.
    """
    used: list[str] = []
    filled = url
    for _ in range(_LIMIT):
        if is_withdrawn(method, filled):
            return filled, used
        values = {char: value for char in dict.fromkeys(filled) if (value := known(char)) is not None}
        if not values or len(filled) > _LENGTH:
            break
        used += values
        filled = "".join(values.get(char, char) for char in filled)
    return url, []
