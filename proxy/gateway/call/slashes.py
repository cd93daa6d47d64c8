"""Warns about tools whose base URL ends in a slash: they call ``//org/repo/…``, which is not a withdrawn endpoint."""

import re

from proxy.callers.identity import Caller
from proxy.gateway.call.named import Named
from proxy.output.diagnostics import log
from proxy.output.formatting import shortened
from proxy.withdrawn import endpoints

MAX_NAMED = 64
"""Maximum number of callers that are named, because strangers can make up any number of names."""


def meant(method: str, path: str) -> endpoints.Match | None:
    """The withdrawn endpoint that a path matches without its empty segments, or None.

    Args:
        method: as received.
        path: raw, without the query, decoded as Latin-1.
    """
    return endpoints.match(method, re.sub("/+", "/", path))


class Slashes:
    """Warns about each such tool once."""

    def __init__(self) -> None:
        self._named = Named(MAX_NAMED)

    def name(self, caller: Caller, call: str) -> None:
        """Warn about a caller, unless that was done before.

        Args:
            caller: who it is.
            call: method and path.
        """
        if not self._named.is_new(caller):
            return
        log.warning(
            "base_url_ends_in_slash",
            caller=shortened(caller.name),
            user_agent=shortened(caller.user_agent) if caller.user_agent else None,
            call=shortened(call),
            message="the call passes through untranslated; remove the slash at the end of the tool's base URL",
        )
