"""The configuration as one frozen value, with every default and every check.

sources.py finds the values, sections.py and values.py check them.
"""

import dataclasses
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from proxy.callers.identity import Rule
from proxy.callers.log.files import STDOUT, is_stream
from proxy.config import sections, sources
from proxy.config.policy import DEFAULT_POLICY, KnownCaller, Lifecycle
from proxy.config.values import (
    Address,
    Count,
    Delay,
    FieldName,
    File,
    Flag,
    Globs,
    Hosts,
    LeadFile,
    LedgerAddress,
    ListenAddress,
    LogFormat,
    LogPath,
    Networks,
    Period,
    ProxyUrl,
    Seconds,
    Secret,
    Size,
    Text,
    UnixPath,
    Url,
)


@dataclass(frozen=True)
class Upstream:
    """The service: its address, the way there, and how long to wait, in seconds."""

    url: Url = "https://api.sourcecraft.tech"
    connect_timeout: Seconds = 5.0
    timeout: Seconds = 60.0
    keepalive: Seconds = 5.0
    max_connections: Count = 512
    proxy: ProxyUrl | None = None
    proxy_credentials_file: File | None = None
    authorities: File | None = None
    certificate: File | None = None
    key: File | None = None


@dataclass(frozen=True)
class Limits:
    """How much the proxy accepts: bytes, calls and seconds."""

    body: Size = 1 << 20
    buffered: Size = 64 << 20
    in_flight: Count = 1024
    drain_delay: Delay = 0.0
    drain: Seconds = 30.0
    retry_window: Delay = 60.0


_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@dataclass(frozen=True)
class Callers:
    """How callers are identified, and where their calls are recorded."""

    log: LogPath = "logs/callers.jsonl"
    heartbeat: Seconds = 300.0
    trusted_proxies: Networks = _LOOPBACK
    proxy_protocol: Flag = False
    header: FieldName | None = None
    fingerprint_key: Secret | None = None
    fingerprint_key_file: File | None = None
    known: tuple[KnownCaller, ...] = ()
    gone: Globs = ()


@dataclass(frozen=True)
class Letters:
    """How letters to owners are worded, and who writes them."""

    template: LeadFile | None = None
    sender: Text | None = None


@dataclass(frozen=True)
class Log:
    """How events are written to standard error."""

    format: LogFormat = "auto"


@dataclass(frozen=True)
class Tls:
    """The certificate that callers see on `listen`, and its key: two PEM files."""

    certificate: File = ""
    key: File = ""


@dataclass(frozen=True)
class Config:
    """The whole configuration."""

    listen: ListenAddress = Address("127.0.0.1", 8080)
    admin: ListenAddress | None = Address("127.0.0.1", 9901)
    admin_hosts: Hosts = ()
    workers: Count = 1
    upstream: Upstream = Upstream()
    limits: Limits = Limits()
    lifecycle: Lifecycle = DEFAULT_POLICY
    callers: Callers = Callers()
    ledger: LedgerAddress | None = "logs/callers.db"
    ledger_file: File | None = None
    ledger_privacy: Period | None = None
    letters: Letters = Letters()
    log: Log = Log()
    tls: Tls | None = None

    @property
    def successor_url(self) -> str:
        """The address of the service that callers and their owners are told."""
        return self.lifecycle.successor_url or self.upstream.url


def _is_path(keys: Sequence[str]) -> bool:
    return sections.kind_at(Config, keys) in {LogPath, File, LeadFile, LedgerAddress}


_SCHEMA = sources.Schema(
    keys=frozenset(sections.keys_of(Config)),
    is_text=lambda keys: sections.is_text(sections.kind_at(Config, keys)),
    is_path=_is_path,
)


class ConfigError(Exception):
    """The configuration cannot be used.

    Attributes:
        problems: one sentence per problem, with the key and the fix.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(
    file: str | None, environment: Mapping[str, str], flags: sources.Values | None = None, *, needs_key: bool = True
) -> Config:
    """Load the effective configuration.

    Args:
        file: path of the file, as `sources.layered` expects it.
        environment: of the process.
        flags: values by top-level key or section; these override the other two.
        needs_key: whether a file with the fingerprint key that this user may not read is a problem.

    Raises:
        ConfigError: the configuration has problems; it lists all of them.
    """
    try:
        values, overridden, problems = sources.layered(file, environment, flags or {}, _SCHEMA)
    except sources.Unreadable as error:
        raise ConfigError([str(error)]) from None
    config: Config = sections.read(Config, values, "", problems)
    if not problems:
        config = _with_key(_with_ledger(config, values, problems), problems, is_needed=needs_key)
        problems += contradictions(config)
    if problems:
        raise ConfigError(sources.with_places(problems, file, overridden))
    return config


def _with_ledger(config: Config, given: sources.Values, problems: list[str]) -> Config:
    """The configuration with the address of the ledger: from its file, or beside the log if there is no key for it."""
    address: Any = config.ledger
    if config.ledger_file is not None:
        address = _from_file(LedgerAddress, config.ledger_file, "ledger_file", problems)
    elif "ledger" not in given and config.callers.log != STDOUT and not is_stream(config.callers.log):
        address = str(Path(config.callers.log).with_suffix(".db"))
    return dataclasses.replace(config, ledger=address)


def _with_key(config: Config, problems: list[str], *, is_needed: bool) -> Config:
    """The configuration with the fingerprint key, if that is in a file of its own."""
    file = config.callers.fingerprint_key_file
    if file is None or (not is_needed and is_closed(file)):
        return config
    key = _from_file(Secret, file, "callers.fingerprint_key_file", problems)
    return dataclasses.replace(config, callers=dataclasses.replace(config.callers, fingerprint_key=key))


def is_closed(path: str) -> bool:
    """Whether this user may not read a file."""
    try:
        Path(path).open("rb").close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _from_file(kind: Any, path: str, key: str, problems: list[str]) -> Any:
    """The value of a key whose file this is."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        instead = ", or give another one with --ledger" if kind is LedgerAddress else ""
        problems.append(f"{key}: {path}: {error.strerror}; let this user read it{instead}")
        return None
    except ValueError:
        text = None
    return sections.read(kind, text, key, problems)


def render(config: Config) -> str:
    """Write the configuration as YAML, with secrets masked; `load` refuses the mask."""
    return sources.to_yaml(sections.plain(Config, config))


def contradictions(config: Config) -> list[str]:
    """Find values that are valid on their own but contradict each other."""
    problems = []
    if config.admin is not None and config.admin.name == config.listen.name != 0:
        kind = "socket" if isinstance(config.listen, UnixPath) else "port"
        problems.append(f"admin: uses the same {kind} as listen; choose another one, or null to switch it off")
    if config.callers.proxy_protocol and not (config.callers.trusted_proxies or isinstance(config.listen, UnixPath)):
        problems.append(
            "callers.proxy_protocol: needs callers.trusted_proxies: only these may connect; add the balancer"
        )
    if config.upstream.connect_timeout >= config.upstream.timeout:
        problems.append("upstream.connect_timeout: must be shorter than upstream.timeout; change one of them")
    problems += _of_upstream(config.upstream)
    begin, end = config.lifecycle.deprecated, config.lifecycle.sunset
    if begin is not None and end is not None and end < begin:
        problems.append("lifecycle.sunset: is before lifecycle.deprecated; change one of them (RFC 9745, section 4)")
    for index, known in enumerate(config.callers.known):
        problems += [f"callers.known[{index}]{problem}" for problem in _of_known(known, end)]
    if config.lifecycle.freeze is not None and config.callers.log == STDOUT and config.ledger is None:
        problems.append("lifecycle.freeze: needs a ledger to tell who is new; set ledger, or callers.log to a file")
    if config.tls is not None:
        problems += [
            f"tls.{key}: missing; write the path of the PEM file"
            for key in ("certificate", "key")
            if not getattr(config.tls, key)
        ]
    return problems


def _of_upstream(upstream: Upstream) -> list[str]:
    problems = []
    if upstream.proxy_credentials_file is not None and upstream.proxy is None:
        problems.append("upstream.proxy_credentials_file: no proxy gets them; set upstream.proxy, or remove them")
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if getattr(upstream, key) is None and getattr(upstream, other) is not None:
            problems.append(f"upstream.{key}: missing; write the path of the PEM file, or remove upstream.{other}")
    if not upstream.url.startswith("https:"):
        problems += [
            f"upstream.{key}: upstream.url has no TLS; write https:// there, or remove this key"
            for key in ("authorities", "certificate")
            if getattr(upstream, key) is not None
        ]
    return problems


def _of_known(known: Rule, sunset: datetime | None) -> list[str]:
    problems = []
    if not known.name:
        problems.append(".name: missing; write the name that reports should show")
    if not any((known.tokens, known.agents, known.networks, known.repositories, known.workflows)):
        problems.append(": matches every call; add a token, agent, network, repository or workflow")
    if known.extension is not None and known.migrated is not None:
        problems.append(".extension: cannot be combined with migrated; remove one of them")
    elif known.extension is not None and sunset is not None and known.extension <= sunset:
        problems.append(".extension: is not after lifecycle.sunset; change one of them")
    return problems
