"""The certificate that callers see."""

import contextlib
import ssl
from datetime import datetime

from proxy.config import Tls
from proxy.gateway.certificates import end_of_peer
from proxy.gateway.pem import UnusableFile, load_key_pair
from proxy.gateway.server.listeners import ServeError
from proxy.gateway.server.tls import Context

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for."""


def server_context(tls: Tls) -> Context:
    """Read the certificate and its key.

    Raises:
        ServeError: they cannot be used.
    """
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    try:
        load_key_pair(context, "tls", tls.certificate, tls.key)
    except UnusableFile as error:
        raise ServeError(str(error)) from None
    return context


def end_of(tls: Tls) -> datetime | None:
    """When the certificate ends; None if that cannot be told.

    The library reads it only from a peer that it trusts. So this is a handshake in memory, in which the client trusts
    just this certificate.
    """
    try:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
        client.load_verify_locations(tls.certificate)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        caller = client.wrap_bio(to_client, to_server)
        _shake_hands(caller, server_context(tls).wrap_bio(to_server, to_client, server_side=True))
    except (OSError, ServeError):
        return None
    return end_of_peer(caller)


def _shake_hands(caller: ssl.SSLObject, server: ssl.SSLObject) -> None:
    for end in (caller, server, caller):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
