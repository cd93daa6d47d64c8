"""What the operator should know: a line each on standard error."""

import functools
import re
from typing import Any

from proxy.errors import PROXY
from proxy.output.stderr import StandardError

_ACTING = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2069\\ufeff]")
"""Control, bidirectional and invisible characters: a line may quote a caller."""


def _line(_logger: Any, method: str, event: Any) -> bytes:
    level = "" if method == "info" else f"{method}: "
    text = _ACTING.sub(lambda char: f"\\u{ord(char[0]):04x}", event["event"])
    return f"{PROXY}: {level}{text}\n".encode("utf-8", "backslashreplace")


_stderr = StandardError()


@functools.cache
def _logger() -> Any:
    import structlog  # noqa: PLC0415 - it takes longer to import than most commands take to run

    return structlog.wrap_logger(_stderr, processors=[_line], wrapper_class=structlog.BoundLogger)


class _Diagnostics:
    """The logger, made when the first line is written."""

    def __getattr__(self, method: str) -> Any:
        return getattr(_logger(), method)


operator: Any = _Diagnostics()
"""What the operator should know, a line each on standard error."""
