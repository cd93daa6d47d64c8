"""Reads certificates and keys from PEM files."""

import ssl


class UnusableFile(Exception):
    """A file that the configuration names cannot be used. The message has the key and the reason."""


def load_key_pair(context: ssl.SSLContext, section: str, certificate: str, key: str) -> None:
    """Read a certificate and its key, for connections to show.

    Args:
        context: of the connections.
        section: of the configuration, which names the files.
        certificate: path of the file, which may have further certificates of the chain.
        key: path of the file.

    Raises:
        UnusableFile: they cannot be used.
    """

    def refuse_pass_phrase() -> str:
        # Without this, OpenSSL would ask on the terminal.
        raise UnusableFile(
            f"{section}.key: it has a pass phrase, which nobody can enter at a start: remove it with openssl pkey"
        )

    try:
        context.load_cert_chain(certificate, key, password=refuse_pass_phrase)
    except ssl.SSLError as error:
        raise UnusableFile(f"{section}: the certificate and the key cannot be used: {error.reason or error}") from None
    except OSError as error:
        raise UnusableFile(f"{section}: {error.filename or 'the certificate'}: {error.strerror}") from None


def client_context(authorities: str | None) -> ssl.SSLContext:
    """What a client needs to trust a server.

    Args:
        authorities: path of a file with the authorities to trust; None for those of the system.

    Raises:
        UnusableFile: the file of `upstream.authorities` cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=authorities)
    except ssl.SSLError as error:
        raise UnusableFile(f"upstream.authorities: {authorities} cannot be used: {error.reason or error}") from None
    except OSError as error:
        raise UnusableFile(f"upstream.authorities: {authorities}: {error.strerror}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context
