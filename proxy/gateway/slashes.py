"""Names tools whose base URL ends in a slash: they call ``//org/repo/…``, which is none of the withdrawn paths."""

import re

from proxy.callers.identity import Caller
from proxy.callers.log import operator
from proxy.withdrawn import endpoints
from proxy.words import printable, shortened

MOST_NAMED = 64
"""Callers that are named, at most: strangers can make up any number."""


def meant(method: str, path: str) -> endpoints.Match | None:
    """The withdrawn call that a path with empty segments would be without them, if any.

    Args:
        method: as it came, in upper case.
        path: raw, without the query, decoded as Latin-1.
    """
    return endpoints.match(method, re.sub("/+", "/", path))


class Slashes:
    """Tells the operator of such tools, once each."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def name(self, caller: Caller, call: str) -> None:
        """Tell of a caller, unless that is done.

        Args:
            caller: who it is.
            call: method and path.
        """
        if caller.name in self._named or len(self._named) >= MOST_NAMED:
            return
        self._named.add(caller.name)
        agent = f" ({_shown(caller.user_agent)})" if caller.user_agent and caller.source != "address" else ""
        operator.warning(
            f"{_shown(caller.name)}{agent} calls {_shown(call)}, which passes through untranslated: "
            "take the slash off the end of its base URL"
        )


def _shown(text: str) -> str:
    return shortened(printable(text))
