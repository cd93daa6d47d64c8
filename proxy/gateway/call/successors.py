"""Tells the operator of callers whose token was rotated while a freeze is in force."""

from proxy.callers.identity import Caller
from proxy.gateway.call.named import Named
from proxy.output.diagnostics import log
from proxy.output.formatting import shortened

MAX_NAMED = 1000
"""Maximum number of callers that are named."""


class Successors:
    """Names each such caller once."""

    def __init__(self) -> None:
        self._named = Named(MAX_NAMED)

    def name(self, caller: Caller, predecessor: str) -> None:
        """Name a caller that the service has accepted, unless that was done before.

        Args:
            caller: who it is.
            predecessor: the caller from before the freeze that it succeeds.
        """
        if not self._named.is_new(caller):
            return
        log.warning(
            "successor_let_through",
            caller=shortened(caller.name),
            predecessor=shortened(predecessor),
            user_agent=shortened(caller.user_agent) if caller.user_agent else None,
            message="the freeze lets it through, since it calls from where its predecessor did; if it is another tool,"
            " give it a rule with migrated",
        )
