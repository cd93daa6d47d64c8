"""Output in encodings that lack characters, such as ASCII: these are escaped as in JSON, so JSON stays valid."""

import codecs
import io
import sys
from typing import TextIO

_ERRORS = "escape_as_json"


def escaped(text: str) -> str:
    r"""Each character as ``\uXXXX``; one beyond the Basic Multilingual Plane is two of them, as in JSON."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[index]:02x}{units[index + 1]:02x}" for index in range(0, len(units), 2))


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return escaped(error.object[error.start : error.end]), error.end


codecs.register_error(_ERRORS, _escape)


def encodable(text: str, out: TextIO) -> str:
    """Text as it will be shown in the encoding of a stream."""
    if text.isascii():
        return text
    encoding = out.encoding or "utf-8"
    return text.encode(encoding, _ERRORS).decode(encoding)


def let_standard_output_escape() -> None:
    """Escape what the encoding of standard output lacks. Otherwise, printing it would raise `UnicodeEncodeError`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ERRORS)
