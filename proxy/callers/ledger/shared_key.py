"""The HMAC key for fingerprints of tokens, the same for all processes that share a ledger."""

import contextlib
import secrets

from proxy.callers.ledger import engines
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.files import STDOUT
from proxy.callers.log.fingerprint_key import fingerprint_key

_KEY_BYTES = 32


def find_key(configured: str | None, caller_log: str, ledger: str | None) -> bytes:
    """The configured key, that of a ledger which several hosts share, or that of the file beside the log or the ledger.

    A key that does not exist yet is made. If the ledger cannot be reached, the key of the file is used.

    Args:
        configured: the key, if there is one in the configuration.
        caller_log: path of the log, or `STDOUT`.
        ledger: its address, if there is one.

    Raises:
        OSError: the key file can be neither read nor created, or is not to be trusted; the text says what to do.
    """
    if configured is not None or ledger is None:
        return fingerprint_key(configured, caller_log)
    if "://" not in ledger:
        return fingerprint_key(None, ledger if caller_log == STDOUT else caller_log)
    try:
        return _shared_key(ledger, None if caller_log == STDOUT else fingerprint_key(None, caller_log))
    except LedgerUnavailable as problem:
        from proxy.output.diagnostics import log  # noqa: PLC0415 - slow to import

        log.warning("ledger_unavailable", reason=str(problem), message="the fingerprint key is not that of the ledger")
        return fingerprint_key(None, caller_log)


def _shared_key(address: str, local: bytes | None) -> bytes:
    with contextlib.closing(Ledger(engines.connect(address))) as ledger:
        ledger.open()
        return ledger.fingerprint_key(local or secrets.token_hex(_KEY_BYTES).encode())
