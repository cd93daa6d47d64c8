"""Streams that say they are a terminal."""

import io
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
