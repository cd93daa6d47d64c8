"""Finds out why a start would fail, without serving."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from proxy.callers.ledger import engines
from proxy.callers.ledger.database import NO_TABLES, LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.files import STDOUT
from proxy.config import Config, is_closed
from proxy.config.values import Address
from proxy.gateway.server.certificate import server_context
from proxy.gateway.server.listeners import ServeError, bind

_DENIED = os.strerror(errno.EACCES)
_ELSEWHERE = (_DENIED, os.strerror(errno.EADDRINUSE))
"""What need not hold for the user, or at the time, of a start."""


def problems(config: Config) -> Iterator[str]:
    """Why no start with this configuration can succeed on this machine."""
    if config.tls is not None and not list(_closed(config)):
        with _told() as told:
            server_context(config.tls)
        yield from told
    for key, where in _addresses(config):
        with _told() as told:
            bind(key, where).close()
        yield from (problem for problem in told if not problem.endswith(_ELSEWHERE))


def warnings(config: Config) -> Iterator[str]:
    """Why a start by this user, at this moment, might fail, or lack something."""
    for key, where in _addresses(config):
        with _told() as told:
            bind(key, where).close()
        for problem in told:
            yield f"{problem}, perhaps {'only to this user' if problem.endswith(_DENIED) else 'by this proxy'}"
    for key, file in _closed(config):
        yield f"{key}: this user cannot read {file}"
    if config.callers.log != STDOUT and (reason := _cannot_write(config.callers.log)) is not None:
        yield f"callers.log: {reason}"
    if config.ledger is not None and (reason := _cannot_use(config.ledger)) is not None:
        yield f"ledger: {reason}"


def _closed(config: Config) -> Iterator[tuple[str, str]]:
    """The files that only other users can read."""
    files: dict[str, str | None] = {"callers.fingerprint_key_file": config.callers.fingerprint_key_file}
    if config.tls is not None:
        files |= {"tls.certificate": config.tls.certificate, "tls.key": config.tls.key}
    yield from ((key, file) for key, file in files.items() if file is not None and is_closed(file))


def _addresses(config: Config) -> Iterator[tuple[str, Address]]:
    yield "listen", config.listen
    if config.admin is not None:
        yield "admin", config.admin


@contextlib.contextmanager
def _told() -> Iterator[list[str]]:
    """What a `ServeError` in the block says."""
    found: list[str] = []
    try:
        yield found
    except ServeError as error:
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
    except LedgerUnavailable as problem:
        return None if NO_TABLES in str(problem) else str(problem)
