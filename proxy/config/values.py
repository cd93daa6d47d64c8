"""The kinds of values in the configuration: each is a type annotated with the way to read it."""

import ipaddress
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from proxy.callers.identity import FINGERPRINT_DIGITS
from proxy.callers.trusted_proxies import Network
from proxy.withdrawn import brownouts

MASK = "********"
"""Stands for a secret."""

_UNIX = "unix:"
_LONGEST_PATH = 107
"""Bytes, see unix(7)."""


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def name(self) -> int:
        """What tells it from the other listener."""
        return self.port


class UnixPath(NamedTuple):
    """A Unix socket to listen on."""

    path: str

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}"

    @property
    def name(self) -> str:
        """What tells it from the other listener."""
        return self.path


class WrongValue(ValueError):
    """The message says what is wrong and what to write instead."""


def read(kind: Any, value: Any) -> Any:
    """Read a value from the YAML as one of the kinds below.

    Raises:
        WrongValue: it is not one.
    """
    return kind.__metadata__[0](value)


def _reader(convert: Callable[[Any], Any], name: str, fix: str, *, is_secret: bool = False) -> Callable[[Any], Any]:
    """A function that reads a value or raises `WrongValue`.

    Args:
        convert: takes the value; raises `ValueError`, or what the library raises, if it is wrong.
        name: what the value should be.
        fix: what to write instead.
        is_secret: messages must not show the value.
    """

    def read(value: Any) -> Any:
        try:
            return convert(value)
        except WrongValue:
            raise
        except (ValueError, TypeError, OverflowError, LookupError, OSError):
            shown = "it" if is_secret else _shown(value)
            raise WrongValue(f"{shown} is not a valid {name}; {fix}") from None

    return read


def _check(condition: object) -> None:
    if not condition:
        raise ValueError


def _match(pattern: str, value: Any) -> re.Match[str]:
    found = re.fullmatch(pattern, value)
    if found is None:
        raise ValueError
    return found


def _matching(pattern: str) -> Callable[[Any], str]:
    return lambda value: _match(pattern, value)[0]


# --- numbers

_LONGEST = 366 * 86400
_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _delay(value: Any) -> float:
    _check(type(value) in {int, float} and 0 <= value <= _LONGEST)
    return float(value)


def _seconds(value: Any) -> float:
    _check(value != 0)
    return _delay(value)


def _period(value: Any) -> timedelta:
    number = _match(r"(\d{1,4})([dw])", value)
    period = timedelta(**{{"d": "days", "w": "weeks"}[number[2]]: int(number[1])})
    _check(timedelta() < period <= timedelta(days=3660))
    return period


def _count(value: Any) -> int:
    _check(type(value) is int and value >= 1)
    return int(value)


def _size(value: Any) -> int:
    _check(type(value) in {int, str})
    number = _match(r"(\d+) ?(\w*)", str(value))
    return _count(int(number[1]) * _UNITS[number[2]])


Seconds = Annotated[float, _reader(_seconds, "duration", f"write seconds, more than 0 and at most {_LONGEST}")]
Delay = Annotated[float, _reader(_delay, "duration", f"write seconds, 0 or more and at most {_LONGEST}")]
Period = Annotated[timedelta, _reader(_period, "period", "write days or weeks, such as 92d or 4w, and at most 3660d")]
Count = Annotated[int, _reader(_count, "count", "write a whole number, 1 or more")]
Size = Annotated[int, _reader(_size, "size", "write bytes, or a number with KiB, MiB or GiB, such as 1MiB")]

# --- dates


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None and re.search(r"\d[T ]\d", value):
        raise WrongValue(f"{_shown(value)} has no time zone; add it, such as {value}Z for UTC, or {value}+03:00")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cron(value: Any) -> str:
    if (problem := brownouts.cron_problem(value if isinstance(value, str) else "")) is not None:
        fix = 'write one such as "0 12 * * MON"'
        raise WrongValue(f"{_shown(value)} is not a valid cron expression: {problem}; {fix}")
    return str(value)


Moment = Annotated[datetime, _reader(_moment, "date", "write 2026-12-31, or 2026-12-31T12:00:00+03:00")]
Cron = Annotated[str, _cron]
Zone = Annotated[ZoneInfo, _reader(ZoneInfo, "time zone", "write one such as Europe/Berlin, or UTC")]

# --- text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValue(f"must be true or false, not {_shown(value)}")
    return value


def _text(value: Any) -> str:
    _check(isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= 128)
    return str(value.strip())


_SHORTEST_SECRET = 16


def _file(value: Any) -> str:
    _check(isinstance(value, str) and os.path.isfile(value))  # noqa: PTH113 - Path.is_file raises on a long name
    return str(value)


Flag = Annotated[bool, _flag]
Text = Annotated[str, _reader(_text, "name", "write up to 128 printable characters")]
FieldName = Annotated[
    str, _reader(_matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"), "header name", "write one such as X-Caller")
]
_PATH = r"(?!\s*\Z)[^\0]+"
LogPath = Annotated[str, _reader(_matching(_PATH), "file name", 'write a path, or "-" for standard output')]
LeadFile = Annotated[str, _reader(_matching(_PATH), "file name", "write a path")]
"""A file of whoever leads the migration. Where the proxy runs, it need not exist."""
LogFormat = Annotated[str, _reader(_matching("auto|console|json"), "log format", "write auto, console or json")]
File = Annotated[str, _reader(_file, "file", "write the path of an existing file")]
Fingerprint = Annotated[
    str,
    # What stands here by mistake may be the token itself.
    _reader(
        _matching(f"[0-9a-f]{{{FINGERPRINT_DIGITS}}}"),
        "fingerprint",
        "write what 'trigger-shim fingerprint' prints, in quotes",
        is_secret=True,
    ),
]
Secret = Annotated[
    str,
    _reader(
        _matching(f"(?s:.){{{_SHORTEST_SECRET},}}"),
        "secret",
        f"write at least {_SHORTEST_SECRET} characters, such as 'openssl rand -hex 32' prints",
        is_secret=True,
    ),
]

# --- addresses


def _address(value: Any) -> Address | UnixPath:
    if isinstance(value, str) and value.startswith(_UNIX):
        return _unix_path(value)
    found = _match(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:\s]+)):(\d{1,9})", value)
    if int(found[3]) > 65535:
        raise WrongValue(f"{_shown(value)} has a port over 65535; write a port from 0 to 65535")
    return Address(found[1] or found[2], int(found[3]))


def _unix_path(value: str) -> UnixPath:
    path = value.removeprefix(_UNIX)
    if not (path.startswith("/") and path.isprintable()) or path.endswith("/"):
        raise WrongValue(f"{_shown(value)} has no absolute path; write one such as {_UNIX}/run/trigger-shim.sock")
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise WrongValue(f"{_shown(value)} is too long; write a path of at most {_LONGEST_PATH} bytes")
    return UnixPath(path)


def _url(value: Any) -> str:
    if re.match(r"[^/]*//[^/]*@", value):  # before a message shows the value, password and all
        raise WrongValue("it contains a user name or a password; remove them, the proxy has no credentials of its own")
    parts = urlsplit(value)
    _check(parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0))
    _check(re.fullmatch(r"[!-~]+", value))
    if "?" in value or "#" in value:
        raise WrongValue("it contains a query or a fragment; remove everything from the ? or # on")
    return str(value.rstrip("/"))


def _proxy_url(value: Any) -> str:
    if re.match(r"[^/]*//[^/]*@", value):
        raise WrongValue("it contains credentials; write them into the file that upstream.proxy_credentials_file names")
    parts = urlsplit(_match(r"http://[!-.0-~]+/?", value)[0])
    _check(parts.hostname and parts.port and not parts.query and not parts.fragment)
    return str(value.rstrip("/"))


def _ledger(value: Any) -> str:
    address = _match(r"(?!\s*\Z)[^\0\n]+", value)[0]
    if "://" in address:
        parts = urlsplit(address)
        _check(parts.scheme in {"postgresql", "postgres"} and parts.port != 0 and parts.password != MASK)
    return address


def without_password(address: str) -> str:
    """The address of a ledger, with its password masked."""
    return re.sub(r"(?<=://)([^/@:]*):[^/]*@|([?&]password=)[^&]*", _masked, address)


def _masked(found: re.Match[str]) -> str:
    return f"{found[1]}:{MASK}@" if found[2] is None else f"{found[2]}{MASK}"


LedgerAddress = Annotated[
    str,
    _reader(
        _ledger, "ledger", "write a path, or postgresql://USER@HOST/DATABASE with its password encoded", is_secret=True
    ),
]
ListenAddress = Annotated[
    Address | UnixPath,
    _reader(_address, "address", f'write HOST:PORT, such as 127.0.0.1:8080 or "[::1]:8080", or {_UNIX}/PATH'),
]
Url = Annotated[str, _reader(_url, "URL", "write https://HOST or http://HOST:PORT")]
ProxyUrl = Annotated[str, _reader(_proxy_url, "URL of a proxy", "write http://HOST:PORT")]
Page = Annotated[
    str,
    _reader(
        _matching(r"https?://[!#-;=?-\[\]_a-z~]+"), "URL", "write https://…, with other characters percent-encoded"
    ),
]


def _network(value: Any) -> Network:
    network = ipaddress.ip_network(str(value), strict=False)
    if str(network.network_address) != str(ipaddress.ip_interface(str(value)).ip):
        raise WrongValue(f"{_shown(value)} has bits after those of the network; write {network}, or one address")
    return network


_Network = Annotated[Network, _reader(_network, "network", "write ADDRESS/BITS, such as 10.0.0.0/8")]

# --- lists


def _list_of(kind: Any, example: str) -> Callable[[Any], tuple[Any, ...]]:
    def read_list(value: Any) -> tuple[Any, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise WrongValue(f"is {described(value)}; write one value, or a list such as {example}")
        return tuple(read(kind, item) for item in items)

    return read_list


Networks = Annotated[tuple[Network, ...], _list_of(_Network, '[10.0.0.0/8, "::1/128"]')]
Hosts = Annotated[
    tuple[str, ...],
    _list_of(
        Annotated[str, _reader(_matching(r"[\w.-]+"), "host", "write a name without a port")], "[shim.corp.example]"
    ),
]
Globs = Annotated[tuple[str, ...], _list_of(Text, '["legacy-ci/*", "curl/*"]')]
Fingerprints = Annotated[tuple[str, ...], _list_of(Fingerprint, '["0123456789ab"]')]

# --- in messages


def described(value: Any) -> str:
    """What a value is, for a message."""
    kinds = {dict: "a mapping", list: "a list", str: "a string", bool: "a boolean", type(None): "empty"}
    return kinds.get(type(value), _shown(value))


def shown_key(key: Any) -> str:
    """A key for a message, cut where a missing space or colon may have drawn a value into it."""
    name = re.split(r"[^\w.-]", str(key), maxsplit=1)[0][:40]
    return name if name == str(key) else f"{name}…"


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
