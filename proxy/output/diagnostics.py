"""The log: events with key-values, one line each on standard error.

``log.warning("calls_cut_off", calls=3)`` writes ``trigger-shim: warning: calls cut off calls=3``, or the same as a JSON
object. The key ``message`` holds a sentence for people, which ends the readable line. Keys with the value None are left
out. Never log a token, a cookie or an input value. deploy/README.md lists every event.
"""

import json
import logging
import re
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from proxy.errors import PROXY
from proxy.output.formatting import printable
from proxy.output.stderr import StandardError, is_terminal

log: FilteringBoundLogger = structlog.get_logger()
# Renders an event that `_stderr` writes itself: while it reports a stall, it can take no other line.
_renderer: FilteringBoundLogger = structlog.wrap_logger(structlog.ReturnLogger())
_stderr = StandardError(lambda lost: _renderer.warning("standard_error_stalled", lost_lines=lost))
_UNQUOTED = re.compile(r'[^\s"=]+')
_COMPACT: dict[str, Any] = {"separators": (",", ":"), "default": str}
_FIRST = ("ts", "level", "event")


def configure(log_format: str = "console") -> None:
    """Choose how events are written.

    Args:
        log_format: ``console``, ``json``, or ``auto``: ``console`` if standard error is a terminal, otherwise ``json``.
    """
    if log_format == "auto":
        log_format = "console" if is_terminal() else "json"
    structlog.configure(
        processors=[_without_none, structlog.processors.add_log_level, *_RENDERERS[log_format], _to_line],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _stderr,
    )


def _without_none(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if value is not None}


def _reorder(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {**{key: event[key] for key in _FIRST}, **event}


def _readable(_logger: Any, _method: str, event: EventDict) -> str:
    level, name = event.pop("level"), event.pop("event").replace("_", " ")
    message = f": {event.pop('message')}" if "message" in event else ""
    pairs = "".join(f" {key}={_readable_value(value)}" for key, value in event.items())
    return printable(f"{PROXY}: {'' if level == 'info' else f'{level}: '}{name}{pairs}{message}")


def _readable_value(value: object) -> str:
    is_plain = isinstance(value, str) and _UNQUOTED.fullmatch(value)
    return str(value) if is_plain else json.dumps(value, ensure_ascii=False, **_COMPACT)


def _to_line(_logger: Any, _method: str, text: Any) -> bytes:
    return f"{text}\n".encode()


_RENDERERS: dict[str, list[structlog.typing.Processor]] = {
    "console": [_readable],
    "json": [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _reorder,
        structlog.processors.JSONRenderer(**_COMPACT),
    ],
}

configure()
