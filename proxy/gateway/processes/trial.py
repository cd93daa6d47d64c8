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
from proxy.config import Config, is_closed
from proxy.config.values import Address, UnixPath
from proxy.gateway.pem import UnusableFile
from proxy.gateway.server.certificate import server_context
from proxy.gateway.server.listeners import ServeError, bind
from proxy.gateway.server.unix_sockets import SocketFile
from proxy.gateway.upstream.dialer import Dialer

_DOUBTS = {
    os.strerror(errno.EADDRINUSE): ", perhaps by this proxy",
    os.strerror(errno.EACCES): ", perhaps only to this user",
    os.strerror(errno.ENOENT): "",
}
"""Why a start may not have a problem with an address, by how it ends. The folder of a Unix socket may come later."""


def problems(config: Config) -> Iterator[str]:
    """Why no start with this configuration can succeed on this machine."""
    closed = {key.partition(".")[0] for key, _ in _closed(config)}
    if config.tls is not None and "tls" not in closed:
        with _told() as told:
            server_context(config.tls)
        yield from told
    if "upstream" not in closed:
        with _told() as told:
            Dialer.configured(config.upstream)
        yield from told
    yield from (problem for problem, doubt in _refusals(config) if doubt is None)


def warnings(config: Config) -> Iterator[str]:
    """Why a start by this user, at this moment, might fail, or lack something."""
    yield from (f"{problem}{doubt}" for problem, doubt in _refusals(config) if doubt is not None)
    for key, file in _closed(config):
        yield f"{key}: this user cannot read {file}"
    if config.callers.log != STDOUT and (reason := _cannot_write(config.callers.log)) is not None:
        yield f"callers.log: {reason}"
    if config.ledger is not None and (reason := _cannot_use(config.ledger)) is not None:
        yield f"ledger: {reason}"


def _closed(config: Config) -> Iterator[tuple[str, str]]:
    """The files that only other users can read."""
    files = {"callers.fingerprint_key_file": config.callers.fingerprint_key_file}
    for key in ("proxy_credentials_file", "authorities", "certificate", "key"):
        files[f"upstream.{key}"] = getattr(config.upstream, key)
    if config.tls is not None:
        files |= {"tls.certificate": config.tls.certificate, "tls.key": config.tls.key}
    yield from ((key, file) for key, file in files.items() if file is not None and is_closed(file))


def _refusals(config: Config) -> Iterator[tuple[str, str | None]]:
    """Why an address cannot be bound, and why a start may be able to: None where it is not."""
    for key, where in _addresses(config):
        with _told() as told:
            _bind(key, where)
        for problem in told:
            yield problem, next((doubt for end, doubt in _DOUBTS.items() if problem.endswith(end)), None)


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
    place = next(each for each in (file, *file.absolute().parents) if os.path.lexists(each))
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
