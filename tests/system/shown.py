"""Commands and their outputs in a README."""

import contextlib
import io
import re
from datetime import datetime
from pathlib import Path

from proxy import cli

DESK = ("What changed", "Brownouts", "The burn-down")
"""Parts of the README on callers that are about the month of forty callers (tests/callers/month.py)."""


def part(heading: str, page: str) -> str:
    """A part of a page."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def without(headings: tuple[str, ...], page: str) -> str:
    """A page without some parts."""
    for heading in headings:
        page = page.replace(part(heading, page), "") if part(heading, page) else page
    return page


def commands(page: str) -> list[tuple[str, str]]:
    """Each command that reads calls in a page, with its output."""
    return re.findall(r"^\$ (trigger-shim (?:callers?|brownouts).*)\n((?:.*\n)*?)```", page, re.MULTILINE)


def told(folder: Path, *arguments: str, until: datetime) -> str:
    """What a command says at the end of a month."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        assert cli.main([*arguments, "--until", until.isoformat()]) == 0
    out.seek(0)
    return out.read()
