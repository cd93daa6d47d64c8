"""Links to owners and contacts, whose text is untrusted."""

import re
from html import escape

from proxy.output.formatting import printable

_ADDRESS = re.compile(r"[\w.+'-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
"""An email address without the characters that would add a subject or a recipient (RFC 6068)."""

_PAGE = re.compile(r"https://[A-Za-z0-9.-]+(:\d+)?(/[!-~]*)?")
"""The URL of a page, in ASCII, and without a user that could look like the host."""


def linked(text: str) -> str:
    """HTML of an email address or a URL as a link, and of anything else as text."""
    shown = escape(printable(text))
    if _ADDRESS.fullmatch(text):
        return f'<a href="mailto:{shown}">{shown}</a>'
    if _PAGE.fullmatch(text):
        return f'<a href="{shown}" rel="noreferrer">{shown.removeprefix("https://")}</a>'
    return shown
