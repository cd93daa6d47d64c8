"""The certificate that callers see."""

import ssl

from proxy.config import Tls
from proxy.gateway.pem import UnusableFile, load_key_pair
from proxy.gateway.server.listeners import ServeError
from proxy.gateway.server.tls import Context


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
