"""The kinds of values in the configuration.

Each has a reader: a function that takes what stands in the YAML, and returns the value or raises `ValueError` with a
clause that says what is wrong, and one that says what to write instead.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, NewType
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from proxy.callers.identity import FINGERPRINT_DIGITS, Network
from proxy.withdrawn import brownouts


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


Url = NewType("Url", str)
Page = NewType("Page", str)
Seconds = NewType("Seconds", float)
Delay = NewType("Delay", float)
Size = NewType("Size", int)
Count = NewType("Count", int)
Moment = NewType("Moment", datetime)
Networks = NewType("Networks", tuple[Network, ...])
LogPath = NewType("LogPath", str)
File = NewType("File", str)
Secret = NewType("Secret", str)
Text = NewType("Text", str)
Cron = NewType("Cron", str)
Zone = NewType("Zone", ZoneInfo)
Flag = NewType("Flag", bool)
FieldName = NewType("FieldName", str)
Globs = NewType("Globs", tuple[str, ...])
Fingerprints = NewType("Fingerprints", tuple[str, ...])


def _address(value: Any) -> Address:
    found = (
        re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:\s]+)):(\d{1,5})", value) if isinstance(value, str) else None
    )
    if found is None or int(found[3]) > 65535:
        raise ValueError(f'{_shown(value)} is no address; write HOST:PORT, such as 127.0.0.1:8080 or "[::1]:8080"')
    return Address(found[1] or found[2], int(found[3]))


def _url(value: Any) -> Url:
    text = value if isinstance(value, str) else ""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if re.match(r"[^/]*//[^/]*@", text):  # before a message shows the value, password and all
        raise ValueError("it holds a user or a password; leave them out, the proxy has no credentials of its own")
    if not sound or not re.fullmatch(r"[!-~]+", text):
        raise ValueError(f"{_shown(value)} is no URL; write https://HOST, or http://HOST:PORT")
    if "?" in text or "#" in text:
        raise ValueError("it holds a query or a fragment; end it before any ? or #")
    return Url(text.rstrip("/"))


def _page(value: Any) -> Page:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!#-;=?-\[\]_a-z~]+", value):
        raise ValueError(f"{_shown(value)} is no URL of a page; write https://…, percent-encoded")
    return Page(value)


_LONGEST = 366 * 86400


def _seconds(value: Any) -> Seconds:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _LONGEST:
        raise ValueError(f"{_shown(value)} is no time; write seconds, more than 0 and at most {_LONGEST}")
    return Seconds(float(value))


def _delay(value: Any) -> Delay:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST:
        raise ValueError(f"{_shown(value)} is no time; write seconds, 0 or more and at most {_LONGEST}")
    return Delay(float(value))


_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _size(value: Any) -> Size:
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    found = re.fullmatch(r"(\d+) ?(\w*)", text)
    if found is None or found[2] not in _UNITS or int(found[1]) == 0:
        raise ValueError(f"{_shown(value)} is no size; write bytes, or a number with KiB or MiB, such as 1MiB")
    return Size(int(found[1]) * _UNITS[found[2]])


def _count(value: Any) -> Count:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{_shown(value)} is no count; write a whole number, 1 or more")
    return Count(value)


def _moment(value: Any) -> Moment:
    try:
        moment = datetime.fromisoformat(value)
        return Moment(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{_shown(value)} is no date; write 2026-12-31, or 2026-12-31T12:00:00+03:00") from None


def _networks(value: Any) -> Networks:
    networks = []
    for item in _items(value, '[10.0.0.0/8, "::1/128"]'):
        try:
            networks.append(ipaddress.ip_network(str(item)))
        except ValueError:
            raise ValueError(f"{_shown(item)} is no network; write ADDRESS/BITS, such as 10.0.0.0/8") from None
    return Networks(tuple(networks))


def _items(value: Any, example: str) -> list[Any]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise ValueError(f"holds {described(value)}; write one, or a list, such as {example}")
    return items


def _text(value: Any) -> Text:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 128:
        raise ValueError(f"{_shown(value)} is no name; write a text of up to 128 characters")
    return Text(value.strip())


def _field_name(value: Any) -> FieldName:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", value):
        raise ValueError(f"{_shown(value)} is no name of a header; write one such as X-Caller")
    return FieldName(value)


def _globs(value: Any) -> Globs:
    return Globs(tuple(_text(item) for item in _items(value, '["legacy-ci/*", "curl/*"]')))


def _fingerprints(value: Any) -> Fingerprints:
    items = _items(value, '["0123456789ab"]')
    for item in items:
        if not isinstance(item, str) or not re.fullmatch(f"[0-9a-f]{{{FINGERPRINT_DIGITS}}}", item):
            # What stands here by mistake may well be the token itself.
            raise ValueError("it is no fingerprint; write what 'trigger-shim fingerprint' prints, in quotes")
    return Fingerprints(tuple(items))


def _cron(value: Any) -> Cron:
    text = value if isinstance(value, str) else ""
    if (problem := brownouts.problem_of(text)) is not None:
        raise ValueError(f'{_shown(value)} is no cron expression: {problem}; write one such as "0 12 * * MON"')
    return Cron(text)


def _zone(value: Any) -> Zone:
    try:
        return Zone(ZoneInfo(value))
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ValueError(f"{_shown(value)} is no time zone; write one such as Europe/Berlin, or UTC") from None


def _flag(value: Any) -> Flag:
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is neither; write true or false")
    return Flag(value)


def _log_path(value: Any) -> LogPath:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f'{_shown(value)} is no file; write a path, or "-" for standard output')
    return LogPath(value)


def _file(value: Any) -> File:
    try:
        found = isinstance(value, str) and Path(value).is_file()
    except OSError:  # too long a name, or a folder that may not be searched
        found = False
    if not found:
        raise ValueError(f"{_shown(value)} is no file that can be found; write the path of a PEM file")
    return File(value)


_SHORTEST_SECRET = 16


def _secret(value: Any) -> Secret:
    # The value itself must not show up in a message.
    if not isinstance(value, str) or len(value) < _SHORTEST_SECRET:
        raise ValueError(
            f"it is no text of {_SHORTEST_SECRET} characters or more; write what 'openssl rand -hex 32' prints"
        )
    return Secret(value)


READERS: dict[Any, Callable[[Any], Any]] = {
    Address: _address,
    Url: _url,
    Page: _page,
    Seconds: _seconds,
    Delay: _delay,
    Size: _size,
    Count: _count,
    Moment: _moment,
    Networks: _networks,
    LogPath: _log_path,
    File: _file,
    Secret: _secret,
    Text: _text,
    Cron: _cron,
    Zone: _zone,
    Flag: _flag,
    FieldName: _field_name,
    Globs: _globs,
    Fingerprints: _fingerprints,
}


def described(value: Any) -> str:
    """What a value is, for a message."""
    kinds = {
        dict: "keys and values",
        list: "a list",
        str: "a text",
        bool: "true or false",
        type(None): "nothing",
    }
    return kinds.get(type(value), f"{_shown(value)}")


def shown_key(key: Any) -> str:
    """A key as a message shows it: cut where a missing space or colon may have drawn a value into it."""
    name = re.split(r"[^\w.-]", str(key), maxsplit=1)[0][:40]
    return name if name == str(key) else f"{name}…"


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
