"""Medians, ratios and tables."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

Rows = list[list[str]]
"""A table: the first row is its head, the first column its labels."""


class Ratio(NamedTuple):
    """One figure to another, each taken once a round.

    Attributes:
        value: the one's median to the other's.
        lowest: of the ratios of each round.
        highest: of the ratios of each round.
    """

    value: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return "-" if math.isnan(self.value) else f"{short(self.value)} x"

    @property
    def whole(self) -> str:
        """The same, with what it was between."""
        return "-" if math.isnan(self.value) else f"{self} ({short(self.lowest)} to {short(self.highest)})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The ratio of two figures; rounds that were taken one after another are compared with each other."""
    rounds = [_over(one, other) for one, other in zip(ours, theirs, strict=True)]
    known = [found for found in rounds if not math.isnan(found)] or [math.nan]
    return Ratio(_over(statistics.median(ours), statistics.median(theirs)), min(known), max(known))


def short(value: float) -> str:
    """A figure to two places that matter, without an exponent."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "-"
    places = max(0, 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"


def text(rows: Rows) -> str:
    """A table for the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    )
    return "\n".join("  ".join(line) for line in lines)


def markdown(rows: Rows) -> str:
    """A table for a README."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("|  |", "| |")


def _over(one: float, other: float) -> float:
    return one / other if one and other else math.nan
