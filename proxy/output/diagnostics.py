"""What the operator should know: a line each on standard error."""

from typing import Any

import structlog

from proxy.errors import PROXY
from proxy.output.stderr import StandardError


def _line(_logger: Any, method: str, event: structlog.typing.EventDict) -> bytes:
    level = "" if method == "info" else f"{method}: "
    return f"{PROXY}: {level}{event['event']}\n".encode("utf-8", "backslashreplace")


operator: Any = structlog.wrap_logger(StandardError(), processors=[_line], wrapper_class=structlog.BoundLogger)
"""What the operator should know, a line each on standard error."""
