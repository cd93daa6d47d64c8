"""What is said to an egress proxy to get a tunnel to the service (RFC 9110, section 9.3.6), and what it answers."""

import base64
import dataclasses
import errno
import re
import socket
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx

from proxy import config
from proxy.gateway.pem import UnusableFile

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
_CREDENTIALS = re.compile(r"[^:\x00-\x1f\x7f]+:[^\x00-\x1f\x7f]*")


class EgressError(httpx.ProxyError):
    """The egress proxy made no connection, so nothing was sent. Callers see the message.

    Args:
        message: why.
        proxy_error: the error type of ``Proxy-Status`` (RFC 9209, section 2.3).
    """

    def __init__(self, message: str, proxy_error: str = "destination_unavailable") -> None:
        super().__init__(message)
        self.proxy_error = proxy_error


@dataclasses.dataclass(frozen=True)
class EgressProxy:
    """An HTTP proxy that makes connections to the service.

    Attributes:
        host: its name or address.
        port: its port.
        authorization: the value of ``Proxy-Authorization``, if it wants one.
    """

    host: str
    port: int
    authorization: bytes | None = dataclasses.field(default=None, repr=False)

    @classmethod
    def configured(cls, settings: config.Upstream) -> Self | None:
        """The one that the configuration names, if it does.

        Raises:
            UnusableFile: the credentials cannot be read.
        """
        if settings.proxy is None:
            return None
        parts, file = urlsplit(settings.proxy), settings.proxy_credentials_file
        return cls(parts.hostname or "", parts.port or 0, _basic(file) if file is not None else None)

    def request_for(self, host: str, port: int) -> bytes:
        """The request for a tunnel to a port of a host."""
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {authority} HTTP/1.1".encode(), f"Host: {authority}".encode()]
        if self.authorization is not None:
            lines.append(b"Proxy-Authorization: " + self.authorization)
        return b"\r\n".join([*lines, b"", b""])

    def check(self, answer: bytes) -> None:
        """Read the answer.

        Raises:
            EgressError: there is no tunnel.
        """
        head, end, surplus = answer.partition(b"\r\n\r\n")
        found = _STATUS.match(head)
        if found is None or not end:
            raise EgressError("the answer of the egress proxy is not HTTP")
        if found[1] in {b"407", b"401"}:  # 401 is what tinyproxy says to wrong credentials
            why = "wants credentials" if self.authorization is None else "does not accept the credentials"
            raise EgressError(f"the egress proxy {why}", "proxy_configuration_error")
        if not found[1].startswith(b"2"):
            raise EgressError(f"the egress proxy refused to connect to it, with status {found[1].decode()}")
        if surplus:  # no answer to the request that is still to come (RFC 9112, section 9.2)
            raise EgressError("it did not wait for the request", "connection_terminated")


def failure(error: OSError) -> Exception:
    """What a failed connection to the egress proxy means."""
    match error:
        case socket.gaierror():
            return EgressError("the name of the egress proxy is not known", "dns_error")
        case ConnectionRefusedError():
            return EgressError("the egress proxy refused the connection", "connection_refused")
        case ConnectionError():
            return EgressError("the egress proxy closed the connection", "connection_terminated")
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return error
        case _:
            return EgressError("the egress proxy cannot be reached")


def _basic(file: str) -> bytes:
    """The value of ``Proxy-Authorization`` (RFC 7617) for the credentials in a file."""
    key = "upstream.proxy_credentials_file"
    try:
        credentials = Path(file).read_bytes().decode().rstrip("\r\n")
    except OSError as error:
        raise UnusableFile(f"{key}: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        credentials = ""
    if not _CREDENTIALS.fullmatch(credentials):
        raise UnusableFile(f"{key}: {file} has no credentials; write USER:PASSWORD in one line")
    return b"Basic " + base64.b64encode(credentials.encode())
