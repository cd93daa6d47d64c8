"""Formats times, shares, trends, and untrusted text for reports."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Format seconds in the two largest units: ``3d 4h``."""
    rest, parts = round(seconds), []
    for name, size in _UNITS:
        if rest >= size:
            parts.append(f"{rest // size}{name}")
            rest %= size
    return " ".join(parts[:2]) or "0s"


def interval(seconds: float | None) -> str:
    """The typical time between calls; a dash if it is unknown."""
    return duration(seconds) if seconds is not None else "-"


def minute(moment: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M}"


def day(moment: datetime) -> str:
    """A date in UTC."""
    return f"{moment:%Y-%m-%d}"


def moment(time: datetime) -> str:
    """A time to the minute, or to the second if the seconds are not zero."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if time.second else minute(time)


def date(time: datetime) -> str:
    """A time in UTC; only the day if it is midnight."""
    return day(time) if (time.hour, time.minute, time.second) == (0, 0, 0) else moment(time)


def instant(time: datetime) -> str:
    """A time with ``UTC`` behind it."""
    return f"{moment(time)} UTC"


def percent(share: float) -> str:
    """A share; only none is shown as 0%, and only all as 100%."""
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.1%}" if share not in {0, 1} else f"{share:.0%}"


BLOCKS = "▁▂▃▄▅▆▇█"
"""Characters for `sparkline`, lowest first."""

ASCII_BLOCKS = ".:-=+*#@"
"""The same for terminals without Unicode."""


def sparkline(values: Sequence[int], width: int, blocks: str = BLOCKS) -> str:
    """Draw a trend with up to `width` characters, the newest value last; a space stands for zero."""
    size = -(-len(values) // width) or 1
    padded = [0] * (-len(values) % size) + list(values)
    sums = [sum(padded[start : start + size]) for start in range(0, len(padded), size)]
    top = max(sums, default=0)
    return "".join(blocks[-(-value * len(blocks) // top) - 1] if value else " " for value in sums)


def pluralize(count: int, what: str) -> str:
    """A count and its noun: ``1 call``, ``2 calls``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def join_names(names: Sequence[str], most: int = 10) -> str:
    """The first of some untrusted names, and how many more there are."""
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([shortened(printable(name)) for name in names[:most]] + more)


def shortened(text: str, length: int = 80) -> str:
    """Cut text that may be too long for a sentence."""
    return text if len(text) <= length else text[: length - 1] + "…"


def printable(text: str) -> str:
    """Untrusted text on one line: control and bidirectional characters are escaped as in JSON."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def json_text(value: Any) -> str:
    """A value as indented JSON, without characters that a terminal would act on."""
    return printable_json(msgspec.json.format(msgspec.json.encode(value), indent=2))


def printable_json(text: bytes) -> str:
    """JSON in which characters that a terminal would act on are escaped."""
    return _NOT_ASCII.sub(lambda part: printable(part[0]), text.decode())


_NOT_ASCII = re.compile(r"[^\n -~]+")
_MARKUP = re.compile(r"([\\`*_{}\[\]#|~])")


def markdown(text: str) -> str:
    """Escape text for Markdown."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", text)


def format_counts(counts: Iterable[tuple[str, int]], most: int = 10) -> str:
    """The most frequent values, with their counts."""
    ordered = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    more = [f"and {len(ordered) - most} more"] if len(ordered) > most else []
    return ", ".join([f"{printable(value)} ({count})" for value, count in ordered[:most]] + more)


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[index]:02x}{units[index + 1]:02x}" for index in range(0, len(units), 2))
