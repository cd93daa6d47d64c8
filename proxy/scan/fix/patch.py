"""Writes changes as a patch that ``git apply`` takes."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from proxy.scan.ignored import repository_of

_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
_NO_NEWLINE = b"\n\\ No newline at end of file\n"


def patch(file: str, old: bytes, new: bytes) -> bytes:
    """A patch for one file; empty if it stays the same.

    Args:
        file: its path. In the patch it is relative to the top of its repository, as git writes it, or else to the
            working folder.
        old: what it holds.
        new: what it is to hold.
    """
    if old == new:
        return b""
    name = _relative(file)
    before, after = _quoted(b"a/" + name), _quoted(b"b/" + name)
    header = b"diff --git %b %b\n--- %b\n+++ %b\n" % (before, after, before, after)
    return header + b"".join(_hunks(old, new))


def _hunks(old: bytes, new: bytes) -> Iterator[bytes]:
    # Latin-1 keeps each byte, and only a newline ends a line: the bytes of other encodings are no line ends.
    lines = difflib.unified_diff(_lines(old), _lines(new), n=3)
    for line in list(lines)[2:]:
        encoded = line.encode("latin-1")
        yield encoded if encoded.endswith(b"\n") else encoded + _NO_NEWLINE


def _lines(content: bytes) -> list[str]:
    lines = content.decode("latin-1").split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _relative(file: str) -> bytes:
    path = Path(os.path.realpath(Path(file).parent)) / Path(file).name
    repository = repository_of(path.parent)
    return os.fsencode(os.path.relpath(path, repository or Path.cwd()))


def _quoted(name: bytes) -> bytes:
    """A name in quotes, if git would write it so."""
    if not any(byte < 32 or byte in {34, 92, 127} for byte in name):
        return name
    inner = "".join(
        f"\\{_ESCAPES[byte]}" if byte in _ESCAPES else f"\\{byte:03o}" if byte < 32 or byte >= 127 else chr(byte)
        for byte in name
    )
    return f'"{inner}"'.encode()
