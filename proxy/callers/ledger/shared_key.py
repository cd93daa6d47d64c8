"""The HMAC key for fingerprints of tokens, the same for all processes that share a ledger."""

import contextlib
import errno
import secrets

from proxy.callers.ledger import engines
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.files import STDOUT
from proxy.callers.log.fingerprint_key import fingerprint_key, keep_key

_KEY_BYTES = 32


def find_key(configured: str | None, caller_log: str, ledger: str | None) -> bytes:
    """The configured key, that of a ledger which several hosts share, or that of the file beside the log or the ledger.

    A key that does not exist yet is made. That of a ledger is kept in the file, too, and used if the ledger cannot be
    reached.

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
        return fingerprint_key(None, caller_log) if caller_log != STDOUT else _key_beside(ledger)
    local = None if caller_log == STDOUT else fingerprint_key(None, caller_log)
    try:
        key = _shared_key(ledger, local)
    except LedgerUnavailable as problem:
        from proxy.output.diagnostics import log  # noqa: PLC0415 - slow to import

        log.warning(
            "ledger_unavailable", reason=str(problem), message="the fingerprint key may not be that of the ledger"
        )
        return local or fingerprint_key(None, STDOUT)
    if local not in {None, key}:
        keep_key(caller_log, key)
    return key


def _key_beside(ledger: str) -> bytes:
    try:
        return fingerprint_key(None, ledger)
    except OSError as problem:
        if problem.errno == errno.EINVAL:  # it is not to be trusted
            raise
        return fingerprint_key(None, STDOUT)  # a ledger that cannot be written stops no start


def _shared_key(address: str, local: bytes | None) -> bytes:
    with contextlib.closing(Ledger(engines.connect(address))) as ledger:
        ledger.open()
        return ledger.fingerprint_key(local or secrets.token_hex(_KEY_BYTES).encode())
