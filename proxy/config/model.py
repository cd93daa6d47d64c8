"""``config.yaml`` to one frozen value: every default, every check, every problem at once.

The values come from sources.py; each is read as its field's type says (values.py).
"""

import dataclasses
import difflib
import ipaddress
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from proxy.callers import identity
from proxy.callers.log.files import STDOUT
from proxy.config import sources
from proxy.config.values import (
    Address,
    Count,
    Cron,
    Delay,
    FieldName,
    File,
    Fingerprints,
    Flag,
    Globs,
    ListenAddress,
    LogPath,
    Moment,
    Networks,
    Page,
    Seconds,
    Secret,
    Size,
    Text,
    Url,
    Zone,
    described,
    read,
    shown_key,
)
from proxy.withdrawn import brownouts, lifecycle

MASK = "********"


@dataclass(frozen=True)
class Upstream:
    """Where the successor is, and how long to wait for it, in seconds."""

    url: Url = "https://api.sourcecraft.tech"
    connect_timeout: Seconds = 5.0
    timeout: Seconds = 60.0
    keepalive: Seconds = 5.0
    max_connections: Count = 512


@dataclass(frozen=True)
class Limits:
    """How much the proxy takes on: bytes, calls and seconds."""

    body: Size = 1 << 20
    in_flight: Count = 1024
    drain_delay: Delay = 0.0
    drain: Seconds = 30.0
    retry_window: Delay = 60.0


@dataclass(frozen=True)
class Brownout:
    """A planned short failure: from a time to another, or for a while whenever cron says so."""

    from_: Moment | None = None
    to: Moment | None = None
    cron: Cron | None = None
    duration: Seconds | None = None
    time_zone: Zone = ZoneInfo("UTC")
    callers: Globs = ()
    except_: Globs = ()

    @property
    def rule(self) -> brownouts.Brownout:
        """The same, as the pure functions take it."""
        windows: brownouts.Once | brownouts.Recurring
        if self.cron is not None and self.duration is not None:
            windows = brownouts.Recurring(self.cron, timedelta(seconds=self.duration), self.time_zone)
        else:
            always = datetime.min.replace(tzinfo=UTC)
            windows = brownouts.Once(brownouts.Window(self.from_ or always, self.to or always))
        return brownouts.Brownout(windows, self.callers, self.except_)


@dataclass(frozen=True)
class Lifecycle:
    """The dates of the withdrawal, its planned short failures, and the page that explains it."""

    deprecated: Moment | None = datetime(2025, 12, 1, tzinfo=UTC)
    sunset: Moment | None = None
    documentation: Page | None = "https://sourcecraft.dev/portal/docs/en/api-ref/CICD/RunWorkflows"
    brownouts: tuple[Brownout, ...] = ()
    freeze: Moment | None = None

    @property
    def policy(self) -> lifecycle.Policy:
        """The same, as the pure functions take it."""
        rules = tuple(brownout.rule for brownout in self.brownouts)
        return lifecycle.Policy(self.deprecated, self.sunset, self.documentation, rules, self.freeze)


_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True)
class Known:
    """A caller that has a name: a call is its where every criterion that is given matches, in any of its values."""

    name: Text = ""
    owner: Text | None = None
    contact: Text | None = None
    token: Fingerprints = ()
    agent: Globs = ()
    network: Networks = ()
    repository: Globs = ()
    workflow: Globs = ()
    migrated: Moment | None = None
    extension: Moment | None = None
    exempt_from_freeze: Flag = False

    @property
    def rule(self) -> identity.Rule:
        """The same, as calls are held against it."""
        return identity.Rule(
            self.name,
            self.owner,
            self.contact,
            self.token,
            self.agent,
            self.network,
            self.repository,
            self.workflow,
            self.migrated,
            self.extension,
            self.exempt_from_freeze,
        )


@dataclass(frozen=True)
class Callers:
    """How callers are told apart, and where their calls are recorded."""

    log: LogPath = "logs/callers.jsonl"
    heartbeat: Seconds = 3600.0
    trusted_proxies: Networks = _LOOPBACK
    header: FieldName | None = None
    fingerprint_key: Secret | None = None
    known: tuple[Known, ...] = ()


@dataclass(frozen=True)
class Tls:
    """What `listen` shows to callers; both files in PEM."""

    certificate: File = ""
    key: File = ""


@dataclass(frozen=True)
class Config:
    """The whole configuration."""

    listen: ListenAddress = Address("127.0.0.1", 8080)
    admin: ListenAddress | None = Address("127.0.0.1", 9901)
    workers: Count = 1
    upstream: Upstream = field(default_factory=Upstream)
    limits: Limits = field(default_factory=Limits)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    callers: Callers = field(default_factory=Callers)
    tls: Tls | None = None


class ConfigError(Exception):
    """The configuration cannot be used.

    Attributes:
        problems: a sentence each, with the key and the fix.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


T = TypeVar("T")


def load(file: str | None, environment: Mapping[str, str], flags: sources.Values | None = None) -> Config:
    """The effective configuration.

    Args:
        file: path of the file, as `sources.layered` takes it.
        environment: of the process.
        flags: values by top-level key or section, which override both.

    Raises:
        ConfigError: with every problem that was found.
    """
    try:
        values, problems = sources.layered(file, environment, flags or {})
    except sources.Unreadable as error:
        raise ConfigError([str(error)]) from None
    config = _section(Config, values, "", problems)
    if not problems:
        problems += contradictions(config)
    if problems:
        raise ConfigError(problems)
    return config


def render(config: Config) -> str:
    """The configuration as a file that `load` reads, but for its secrets: `load` refuses the mask."""
    return sources.written(_plain(config))


# --- values


def _section(schema: type[T], values: Any, prefix: str, problems: list[str]) -> T:
    """Build a section, adding what is wrong with it to `problems`; a bad value counts as absent."""
    fields = {name.rstrip("_"): name for name in typing.get_type_hints(schema, include_extras=True)}
    hints = {key: typing.get_type_hints(schema, include_extras=True)[name] for key, name in fields.items()}
    if not isinstance(values, dict):
        problems.append(f"{prefix.rstrip('.')}: holds {described(values)}; write its keys: {', '.join(hints)}")
        return schema()
    found = {}
    for key, value in values.items():
        where = f"{prefix}{shown_key(key)}"
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, 1, 0.5)
            fix = f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(hints)}"
            problems.append(f"{where}: unknown key; {fix}")
        else:
            try:
                found[fields[key]] = _value(hints[key], value, where, problems)
            except ValueError as error:
                problems.append(f"{where}: {error}")
    return schema(**found)


def _value(hint: Any, value: Any, where: str, problems: list[str]) -> Any:
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        if value is None:
            return None
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return _sections(typing.get_args(hint)[0], value, where, problems)
    if dataclasses.is_dataclass(hint):
        return _section(typing.cast("type[Any]", hint), value, f"{where}.", problems)
    return read(hint, value)


def _sections(schema: type[T], values: Any, where: str, problems: list[str]) -> tuple[T, ...]:
    if not isinstance(values, list):
        raise ValueError(f"holds {described(values)}; write a list")
    return tuple(_section(schema, value, f"{where}[{index}].", problems) for index, value in enumerate(values))


# --- the whole


def contradictions(config: Config) -> list[str]:
    """What is wrong with values that are right each by itself."""
    problems = []
    if config.admin is not None and config.admin.port == config.listen.port != 0:
        problems.append("admin: has the port of listen; give it another one, or null to switch it off")
    if config.upstream.connect_timeout >= config.upstream.timeout:
        problems.append(
            "upstream.connect_timeout: no shorter than upstream.timeout, which covers it; change one of them"
        )
    begin, end = config.lifecycle.deprecated, config.lifecycle.sunset
    if begin is not None and end is not None and end < begin:
        problems.append("lifecycle.sunset: lies before lifecycle.deprecated; move one of them (RFC 9745, section 4)")
    for index, known in enumerate(config.callers.known):
        problems += [f"callers.known[{index}]{problem}" for problem in _of_known(known, end)]
    for index, brownout in enumerate(config.lifecycle.brownouts):
        problems += [f"lifecycle.brownouts[{index}]: {problem}" for problem in _of_brownout(brownout)]
    if config.lifecycle.freeze is not None and config.callers.log == STDOUT:
        problems.append("lifecycle.freeze: callers.log, which says who is new, is standard output; name a file there")
    if config.tls is not None:
        problems += [
            f"tls.{key}: missing; name the PEM file" for key in ("certificate", "key") if not getattr(config.tls, key)
        ]
    return problems


def _of_brownout(brownout: Brownout) -> list[str]:
    single, recurring = (brownout.from_, brownout.to), (brownout.cron, brownout.duration)
    if all(single) == all(recurring) or any(single) == any(recurring):
        return ["write from and to, or cron and duration"]
    if brownout.from_ is not None and brownout.to is not None and brownout.to <= brownout.from_:
        return ["to does not lie after from; move one of them"]
    return []


def _of_known(known: Known, sunset: datetime | None) -> list[str]:
    problems = []
    if not known.name:
        problems.append(".name: missing; write what reports should call this caller")
    if not any((known.token, known.agent, known.network, known.repository, known.workflow)):
        problems.append(": matches every call; write a token, agent, network, repository or workflow")
    if known.extension is not None and known.migrated is not None:
        problems.append(".extension: stands beside migrated; leave one of them out")
    elif known.extension is not None and sunset is not None and known.extension <= sunset:
        problems.append(".extension: does not lie after lifecycle.sunset; move one of them")
    return problems


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value), include_extras=True)
        return {
            key.rstrip("_"): MASK
            if Secret in typing.get_args(hint) and getattr(value, key)
            else _plain(getattr(value, key))
            for key, hint in hints.items()
        }
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (Address, ZoneInfo)):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) if dataclasses.is_dataclass(item) else str(item) for item in value]
    return value
