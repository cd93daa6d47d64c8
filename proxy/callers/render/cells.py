"""Untrusted values in the cells of CSV and Markdown."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any
from unicodedata import normalize

from proxy.output.formatting import printable, table_code

_FORMULA = re.compile(r"\W*?[=+\-@\t\r\n]")
"""What begins a formula, also behind white space and quotes. NFKC makes these characters of the full-width ones."""


def csv_text(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV, with times in RFC 3339."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(titles)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).replace("+00:00", "Z")
    text = printable(str(value))
    # Otherwise, a spreadsheet could take the name of a caller for a formula.
    return "'" + text if isinstance(value, str) and _FORMULA.match(normalize("NFKC", value)) else text


def markdown_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str], untrusted: Collection[str]
) -> Iterator[str]:
    """A table as Markdown, with untrusted text as code: never markup, a link or a mention.

    Args:
        titles: of the columns.
        rows: their cells; a dash stands for nothing.
        numbers: titles of the columns that are aligned to the right.
        untrusted: titles of the columns with untrusted text.
    """
    yield f"| {' | '.join(titles)} |"
    yield "|" + "|".join(" ---: " if title in numbers else " --- " for title in titles) + "|"
    for row in rows:
        cells = [table_code(text) if title in untrusted and text != "-" else text
                 for title, text in zip(titles, row, strict=True)]  # fmt: skip
        yield f"| {' | '.join(cells)} |"
