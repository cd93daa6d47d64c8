"""``config.yaml`` to one frozen value: every default, every check, every problem at once.

The values come from sources.py; each is read as its field's type says (values.py).
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from proxy.callers.identity import Rule
from proxy.callers.log.files import STDOUT
from proxy.config import sections, sources
from proxy.config.policy import DEFAULT_POLICY, KnownCaller, Lifecycle
from proxy.config.values import (
    Address,
    Count,
    Delay,
    FieldName,
    File,
    ListenAddress,
    LogPath,
    Networks,
    Seconds,
    Secret,
    Size,
    Url,
)


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


_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True)
class Callers:
    """How callers are told apart, and where their calls are recorded."""

    log: LogPath = "logs/callers.jsonl"
    heartbeat: Seconds = 3600.0
    trusted_proxies: Networks = _LOOPBACK
    header: FieldName | None = None
    fingerprint_key: Secret | None = None
    known: tuple[KnownCaller, ...] = ()


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
    upstream: Upstream = Upstream()
    limits: Limits = Limits()
    lifecycle: Lifecycle = DEFAULT_POLICY
    callers: Callers = Callers()
    tls: Tls | None = None


class ConfigError(Exception):
    """The configuration cannot be used.

    Attributes:
        problems: a sentence each, with the key and the fix.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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
    config: Config = sections.read(Config, values, "", problems)
    if not problems:
        problems += contradictions(config)
    if problems:
        raise ConfigError(problems)
    return config


def render(config: Config) -> str:
    """The configuration as a file that `load` reads, but for its secrets: `load` refuses the mask."""
    return sources.written(sections.plain(Config, config))


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
    if config.lifecycle.freeze is not None and config.callers.log == STDOUT:
        problems.append("lifecycle.freeze: callers.log, which says who is new, is standard output; name a file there")
    if config.tls is not None:
        problems += [
            f"tls.{key}: missing; name the PEM file" for key in ("certificate", "key") if not getattr(config.tls, key)
        ]
    return problems


def _of_known(known: Rule, sunset: datetime | None) -> list[str]:
    problems = []
    if not known.name:
        problems.append(".name: missing; write what reports should call this caller")
    if not any((known.tokens, known.agents, known.networks, known.repositories, known.workflows)):
        problems.append(": matches every call; write a token, agent, network, repository or workflow")
    if known.extension is not None and known.migrated is not None:
        problems.append(".extension: stands beside migrated; leave one of them out")
    elif known.extension is not None and sunset is not None and known.extension <= sunset:
        problems.append(".extension: does not lie after lifecycle.sunset; move one of them")
    return problems
