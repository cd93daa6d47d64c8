"""The HMAC key for fingerprints of tokens."""

import contextlib
import secrets
import tempfile
from pathlib import Path

from proxy.callers.log.files import STDOUT

_KEY_BYTES = 32


def fingerprint_key(configured: str | None, caller_log: str) -> bytes:
    """The configured key, or a random one that is created once and kept next to the log.

    Raises:
        OSError: the key file can be neither read nor created.
    """
    if configured is not None:
        return configured.encode()
    if caller_log == STDOUT:
        from proxy.output.diagnostics import log  # noqa: PLC0415 - slow to import

        log.warning(
            "fingerprint_key_missing",
            message="fingerprints of tokens change with every start; set callers.fingerprint_key",
        )
        return secrets.token_bytes(_KEY_BYTES)
    path = Path(caller_log).with_suffix(".key")
    path.parent.mkdir(parents=True, exist_ok=True)
    _create_key(path)
    return path.read_bytes().strip()


def _create_key(path: Path) -> None:
    # Workers start at the same time and must read the same key, so it is linked only when complete.
    if path.exists():
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as draft:  # mode 600
        draft.write(secrets.token_hex(_KEY_BYTES).encode() + b"\n")
        draft.flush()
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft.name)
