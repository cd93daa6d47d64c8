"""The kinds of values in the configuration.

Each kind is a type annotated with its reader. The reader takes a value of the YAML and returns the checked value, or
raises `ValueError` with what is wrong and what to write instead.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple
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


def _address(value: Any) -> Address:
    found = (
        re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:\s]+)):(\d{1,5})", value) if isinstance(value, str) else None
    )
    if found is None or int(found[3]) > 65535:
        raise ValueError(f'{_shown(value)} is no address; write HOST:PORT, such as 127.0.0.1:8080 or "[::1]:8080"')
    return Address(found[1] or found[2], int(found[3]))


ListenAddress = Annotated[Address, _address]


def _url(value: Any) -> str:
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
    return text.rstrip("/")


Url = Annotated[str, _url]


def _matching(pattern: str, problem: str) -> Callable[[Any], str]:
    """A reader of text that matches a regular expression."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"{_shown(value)} {problem}")
        return value

    return read


Page = Annotated[
    str, _matching(r"https?://[!#-;=?-\[\]_a-z~]+", "is no URL of a page; write https://…, percent-encoded")
]
FieldName = Annotated[
    str, _matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "is no name of a header; write one such as X-Caller")
]
LogPath = Annotated[str, _matching(r"(?!\s*\Z)[^\0]+", 'is no file; write a path, or "-" for standard output')]

_LONGEST = 366 * 86400


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _LONGEST:
        raise ValueError(f"{_shown(value)} is no time; write seconds, more than 0 and at most {_LONGEST}")
    return float(value)


Seconds = Annotated[float, _seconds]


def _delay(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST:
        raise ValueError(f"{_shown(value)} is no time; write seconds, 0 or more and at most {_LONGEST}")
    return float(value)


Delay = Annotated[float, _delay]


_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _size(value: Any) -> int:
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    found = re.fullmatch(r"(\d+) ?(\w*)", text)
    if found is None or found[2] not in _UNITS or int(found[1]) == 0:
        raise ValueError(f"{_shown(value)} is no size; write bytes, or a number with KiB or MiB, such as 1MiB")
    return int(found[1]) * _UNITS[found[2]]


Size = Annotated[int, _size]


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{_shown(value)} is no count; write a whole number, 1 or more")
    return value


Count = Annotated[int, _count]


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{_shown(value)} is no date; write 2026-12-31, or 2026-12-31T12:00:00+03:00") from None


Moment = Annotated[datetime, _moment]


def _networks(value: Any) -> tuple[Network, ...]:
    networks = []
    for item in _items(value, '[10.0.0.0/8, "::1/128"]'):
        try:
            networks.append(ipaddress.ip_network(str(item)))
        except ValueError:
            raise ValueError(f"{_shown(item)} is no network; write ADDRESS/BITS, such as 10.0.0.0/8") from None
    return tuple(networks)


Networks = Annotated[tuple[Network, ...], _networks]


def _items(value: Any, example: str) -> list[Any]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise ValueError(f"holds {described(value)}; write one, or a list, such as {example}")
    return items


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 128:
        raise ValueError(f"{_shown(value)} is no name; write a text of up to 128 characters")
    return value.strip()


Text = Annotated[str, _text]


def _globs(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _items(value, '["legacy-ci/*", "curl/*"]'))


Globs = Annotated[tuple[str, ...], _globs]


def _fingerprints(value: Any) -> tuple[str, ...]:
    items = _items(value, '["0123456789ab"]')
    for item in items:
        if not isinstance(item, str) or not re.fullmatch(f"[0-9a-f]{{{FINGERPRINT_DIGITS}}}", item):
            # What stands here by mistake may well be the token itself.
            raise ValueError("it is no fingerprint; write what 'trigger-shim fingerprint' prints, in quotes")
    return tuple(items)


Fingerprints = Annotated[tuple[str, ...], _fingerprints]


def _cron(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    if (problem := brownouts.problem_of(text)) is not None:
        raise ValueError(f'{_shown(value)} is no cron expression: {problem}; write one such as "0 12 * * MON"')
    return text


Cron = Annotated[str, _cron]


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise ValueError(f"{_shown(value)} is no time zone; write one such as Europe/Berlin, or UTC") from None


Zone = Annotated[ZoneInfo, _zone]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is neither; write true or false")
    return value


Flag = Annotated[bool, _flag]


def _file(value: Any) -> str:
    try:
        if isinstance(value, str) and Path(value).is_file():
            return value
    except OSError:  # too long a name, or a folder that may not be searched
        pass
    raise ValueError(f"{_shown(value)} is no file that can be found; write the path of a PEM file")


File = Annotated[str, _file]


_SHORTEST_SECRET = 16


def _secret(value: Any) -> str:
    # The value itself must not show up in a message.
    if not isinstance(value, str) or len(value) < _SHORTEST_SECRET:
        raise ValueError(
            f"it is no text of {_SHORTEST_SECRET} characters or more; write what 'openssl rand -hex 32' prints"
        )
    return value


Secret = Annotated[str, _secret]


def read(kind: Any, value: Any) -> Any:
    """Read a value of the YAML as one of the kinds above.

    Raises:
        ValueError: what is wrong, and what to write instead.
    """
    return kind.__metadata__[0](value)


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
