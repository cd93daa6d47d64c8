"""Text for Markdown (CommonMark): what may have markup, and how other text becomes part of it."""

import re

from proxy.output.formatting import code


class Markdown(str):
    """Text that is Markdown. All other text is untrusted, and becomes code."""

    __slots__ = ()


_WORDS = re.compile(r"(?![0-9a-fA-F]{7,}\Z)[^\W_]+(?:[ -][^\W_]+)*")
"""Words that mean nothing in Markdown. Forges link what could be the digest of a commit."""

_LINK = re.compile(r"https?://[!-;=?-~]+")


def words(text: str) -> Markdown:
    """Text as it is if it consists of words only, else as code."""
    return Markdown(text if _WORDS.fullmatch(text) else code(text))


def link(url: str) -> Markdown:
    """An address of the web as a link (CommonMark 6.5); other text as code."""
    return Markdown(f"<{url}>" if _LINK.fullmatch(url) else code(url))
