"""The report as one page of HTML, without scripts and without anything from elsewhere."""

from collections.abc import Sequence

from proxy.callers.report import Row
from proxy.callers.survey import Survey


def to_html(surveyed: Survey, rows: Sequence[Row], base: str) -> str:
    """The page."""
    raise NotImplementedError
