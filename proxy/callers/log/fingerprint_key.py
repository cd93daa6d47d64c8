"""The key of the token fingerprints."""

import contextlib
import secrets
import tempfile
from pathlib import Path

from proxy.callers.log.files import STDOUT
from proxy.output.diagnostics import operator

_KEY_BYTES = 32


def fingerprint_key(configured: str | None, log: str) -> bytes:
    """The key of the token fingerprints: the configured one, or one made once and kept beside the log.

    Raises:
        OSError: the kept key can be neither read nor made.
    """
    if configured is not None:
        return configured.encode()
    if log == STDOUT:
        operator.warning("callers.fingerprint_key is not set: fingerprints of tokens will change with every start")
        return secrets.token_bytes(_KEY_BYTES)
    path = Path(log).with_suffix(".key")
    path.parent.mkdir(parents=True, exist_ok=True)
    _create_key(path)
    return path.read_bytes().strip()


def _create_key(path: Path) -> None:
    # Written whole under another name first: workers that start together must all read the same key.
    if path.exists():
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as draft:  # mode 600
        draft.write(secrets.token_hex(_KEY_BYTES).encode() + b"\n")
        draft.flush()
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft.name)
