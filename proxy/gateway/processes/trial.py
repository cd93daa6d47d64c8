"""Finds out why a start would fail, without serving."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from proxy.callers.ledger import engines
from proxy.callers.ledger.database import LedgerUnavailable, TablesMissing
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.files import STDOUT
from proxy.config import Config
from proxy.config.values import Address, UnixPath
from proxy.gateway.pem import UnusableFile
from proxy.gateway.server.certificate import server_context
from proxy.gateway.server.listeners import ServeError, bind
from proxy.gateway.server.unix_sockets import SocketFile
from proxy.gateway.upstream.dialer import Dialer

_IN_USE = os.strerror(errno.EADDRINUSE)
_NOT_NOW = (_IN_USE, os.strerror(errno.ENOENT), os.strerror(errno.EACCES))
"""The folder of a Unix socket may exist only while the service runs, and belong to its user."""


def problems(config: Config) -> Iterator[str]:
    """Why no start with this configuration can succeed on this machine."""
    if config.tls is not None:
        with _told() as told:
            server_context(config.tls)
        yield from told
    with _told() as told:
        Dialer.configured(config.upstream)
    yield from told
    for key, where in _addresses(config):
        with _told() as told:
            _bind(key, where)
        yield from (problem for problem in told if not problem.endswith(_passing(where)))


def warnings(config: Config) -> Iterator[str]:
    """Why a start by this user, at this moment, might fail, or lack something."""
    for key, where in _addresses(config):
        with _told() as told:
            _bind(key, where)
        yield from (f"{problem}, perhaps by this proxy" if problem.endswith(_IN_USE) else problem for problem in told)
    if config.callers.log != STDOUT and (problem := _cannot_write(config.callers.log)) is not None:
        yield f"callers.log: {problem}"
    if config.ledger is not None and (problem := _cannot_use(config.ledger)) is not None:
        yield f"ledger: {problem}"


def _passing(where: Address | UnixPath) -> tuple[str, ...]:
    """The ends of problems that a start may not have."""
    return _NOT_NOW if isinstance(where, UnixPath) else (_IN_USE,)


def _bind(key: str, where: Address | UnixPath) -> None:
    with bind(key, where) as bound:
        if (file := SocketFile.of(bound)) is not None:
            file.remove()


def _addresses(config: Config) -> Iterator[tuple[str, Address | UnixPath]]:
    yield "listen", config.listen
    if config.admin is not None:
        yield "admin", config.admin


@contextlib.contextmanager
def _told() -> Iterator[list[str]]:
    """What an error of the block says."""
    found: list[str] = []
    try:
        yield found
    except (ServeError, UnusableFile) as error:
        found.append(str(error))


def _cannot_write(path: str) -> str | None:
    """Why a file cannot be appended to. Nothing is created: it would belong to whoever checks."""
    file = Path(path)
    place = next(each for each in (file, *file.absolute().parents) if each.exists())
    if os.access(place, os.W_OK, effective_ids=True) and (place == file or place.is_dir()):
        return None
    return f"this user cannot write {place}"


def _cannot_use(address: str) -> str | None:
    if "://" not in address:
        return _cannot_write(address)
    try:
        with contextlib.closing(Ledger(engines.connect(address, is_readonly=True))) as ledger, ledger.content():
            return None
    except TablesMissing:
        return None
    except LedgerUnavailable as problem:
        return str(problem)
