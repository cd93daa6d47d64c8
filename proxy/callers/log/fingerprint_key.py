"""The HMAC key for fingerprints of tokens."""

import contextlib
import errno
import hmac
import os
import secrets
import stat
import tempfile
from pathlib import Path

from proxy.callers.log.files import STDOUT
from proxy.output.sink import make_folder

_KEY_BYTES = 32
_SHORTEST, _LONGEST = 16, 4096
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_ID_DIGITS = 12


def fingerprint_key(configured: str | None, caller_log: str) -> bytes:
    """The configured key, or a random one that is created once and kept next to the log.

    Raises:
        OSError: the key file can be neither read nor created, or is not to be trusted; the text says what to do.
    """
    if configured is not None:
        return configured.encode()
    if caller_log == STDOUT:
        from proxy.output.diagnostics import log  # noqa: PLC0415 - slow to import

        log.warning(
            "fingerprint_key_missing",
            message="fingerprints of tokens change with every start; set callers.fingerprint_key",
        )
        return secrets.token_hex(_KEY_BYTES).encode()
    path = Path(caller_log).with_suffix(".key")
    make_folder(path.parent)
    _create_key(path)
    return _read_key(path)


def keep_key(caller_log: str, key: bytes) -> None:
    """Keep another key next to the log, instead of the one that is there.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(caller_log).with_suffix(".key")
    _draft(path, key).replace(path)


def key_id(key: bytes) -> str:
    """Tells keys apart without revealing them: a part of their HMAC of a fixed text."""
    return hmac.digest(key, b"trigger-shim: id of this key", "sha256").hex()[:_ID_DIGITS]


def _create_key(path: Path) -> None:
    # Workers start at the same time and must read the same key, so it is linked only when complete.
    if path.exists():
        return
    draft = _draft(path, secrets.token_hex(_KEY_BYTES).encode())
    try:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _draft(path: Path, key: bytes) -> Path:
    """A file beside the key file, with a key."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # mode 600
    with os.fdopen(descriptor, "wb") as draft:
        draft.write(key + b"\n")
    return Path(name)


def _read_key(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _refused(path, "is not a regular file; remove it, and a new key is made")
        if mode & _WRITABLE_BY_OTHERS:
            raise _refused(path, "other users can write it; run chmod 600, or remove it if it may have been changed")
        key = os.read(descriptor, _LONGEST + 1).strip()
    finally:
        os.close(descriptor)
    if not _SHORTEST <= len(key) <= _LONGEST:
        size = f"{_SHORTEST} to {_LONGEST} bytes"
        raise _refused(path, f"does not have {size}; restore it from a backup, or remove it for a new key")
    return key


def _refused(path: Path, reason: str) -> OSError:
    return OSError(errno.EINVAL, reason, str(path))
