"""What commands tell people: sentences, one line each on standard error."""

import contextlib

from proxy.errors import PROXY
from proxy.output.formatting import printable
from proxy.output.stderr import Stream

_stream = Stream()


def info(text: str) -> None:
    """Write a line without a level. It is lost if standard error is closed."""
    with contextlib.suppress(OSError):
        _stream.append(printable(f"{PROXY}: {text}").encode() + b"\n")


def warning(text: str) -> None:
    """Write a warning."""
    info(f"warning: {text}")


def error(text: str) -> None:
    """Write an error."""
    info(f"error: {text}")
