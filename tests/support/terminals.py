"""Streams that say they are a terminal."""

import io
import os
import re


class Terminal(io.TextIOWrapper):
    """Its width is that of the variable ``COLUMNS``."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    def shown(self) -> str:
        """Everything that was written to it."""
        self.seek(0)
        return self.read()


def plain(text: str) -> str:
    """Text without styles."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def read_until(terminal: int, wanted: bytes) -> bytes:
    """Read until this text appears, and return all; a timeout ends a test in which it never does."""
    seen = b""
    while wanted not in seen:
        seen += os.read(terminal, 4096)
    return seen
