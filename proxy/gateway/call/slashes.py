"""Warns of tools whose base URL ends in a slash: they call ``//org/repo/…``, which matches no withdrawn endpoint."""

import re

from proxy.callers.identity import Caller
from proxy.output.diagnostics import log
from proxy.output.formatting import shortened
from proxy.withdrawn import endpoints

MOST_NAMED = 64
"""How many callers are named at most, because strangers can make up any number of them."""


def meant(method: str, path: str) -> endpoints.Match | None:
    """The withdrawn endpoint that a path matches without its empty segments, if any.

    Args:
        method: as it came, in upper case.
        path: raw, without the query, decoded as Latin-1.
    """
    return endpoints.match(method, re.sub("/+", "/", path))


class Slashes:
    """Warns the operator of such tools, once each."""

    def __init__(self) -> None:
        self._named: set[str] = set()

    def name(self, caller: Caller, call: str) -> None:
        """Warn of a caller, unless it was named before.

        Args:
            caller: who it is.
            call: method and path.
        """
        if caller.name in self._named or len(self._named) >= MOST_NAMED:
            return
        self._named.add(caller.name)
        log.warning(
            "base_url_ends_in_slash",
            caller=shortened(caller.name),
            user_agent=shortened(caller.user_agent) if caller.user_agent else None,
            call=shortened(call),
            message="the call passes through untranslated; remove the slash at the end of the tool's base URL",
        )
