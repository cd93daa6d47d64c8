"""Asks the running proxy whether it is ready, for the health check of a container."""

import argparse
import contextlib
import ipaddress
import re
import socket
import time

from proxy.commands.options import add_config, add_overrides, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config
from proxy.config.values import Address, UnixPath

SUMMARY = "ask the running proxy whether it is ready, for health probes"
EPILOG = """\
exit status:
  0  the proxy is ready
  1  it is not ready, or does not answer
  2  the configuration or the command line is wrong

example:
  trigger-shim health --config config.yaml"""

TIMEOUT = 3.0
"""Seconds for connecting, sending and receiving together."""

_MAX_LINE = 4096
_NO_CALLER = b"PROXY UNKNOWN\r\n"
"""The header of the PROXY protocol, version 1, from one who speaks for nobody else."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_overrides(parser)


def run(options: argparse.Namespace) -> ExitStatus:
    settings = require_config(options)
    where, path = _readiness_page(settings)
    url = f"{'http' if settings.tls is None else 'https'}://{where}{':' * isinstance(where, UnixPath)}{path}"
    has_header = settings.callers.proxy_protocol and settings.admin is None
    try:
        line = _status_line(where, path, tls=settings.tls is not None, hello=_NO_CALLER if has_header else b"")
    except TimeoutError:
        problem: str | None = f"no answer within {TIMEOUT:g} s"
    except OSError as error:
        problem = error.strerror or "cannot connect"
    else:
        problem = _problem_with(line)
    if problem is not None:
        raise CommandError(ExitStatus.FAILED, f"{url}: {problem}")
    return ExitStatus.OK


def _readiness_page(settings: Config) -> tuple[Address | UnixPath, str]:
    """Return the address and the path of the page that says whether the proxy is ready."""
    key, listener = ("listen", settings.listen) if settings.admin is None else ("admin", settings.admin)
    if listener.name == 0:
        problem = f"{key}: port 0 is a different port at each start; set a fixed port"
        raise CommandError(ExitStatus.USAGE, problem)
    return _connectable(listener), "/-/readyz" if key == "listen" else "/readyz"


def _connectable(listener: Address | UnixPath) -> Address | UnixPath:
    """Return an address to connect to: for a listener on all addresses, the loopback address."""
    if isinstance(listener, UnixPath):
        return listener
    with contextlib.suppress(ValueError):
        host = ipaddress.ip_address(listener.host)
        if host.is_unspecified:
            return listener._replace(host="127.0.0.1" if host.version == 4 else "::1")
    return listener


def _status_line(where: Address | UnixPath, path: str, *, tls: bool, hello: bytes) -> bytes:
    """Request a page, and return the first line of the answer, or as much of it as there is. `hello` is sent first.

    The HTTP clients of the standard library have no time limit for a whole exchange, and are slow to import.

    Raises:
        OSError: there is no answer, or not in time.
    """
    deadline = time.monotonic() + TIMEOUT
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(_connected(where))
        connection.sendall(hello)
        if tls:
            connection.settimeout(_remaining(deadline))
            connection = stack.enter_context(_with_tls(connection))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while b"\r\n" not in answer and len(answer) < _MAX_LINE:
            connection.settimeout(_remaining(deadline))
            if not (piece := connection.recv(_MAX_LINE)):
                break
            answer += piece
    return answer.partition(b"\r\n")[0]


def _connected(where: Address | UnixPath) -> socket.socket:
    if not isinstance(where, UnixPath):
        return socket.create_connection(where, TIMEOUT)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(TIMEOUT)
        connection.connect(where.path)
    except OSError:
        connection.close()
        raise
    return connection


def _remaining(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)  # 0 would make the socket non-blocking


def _with_tls(connection: socket.socket) -> socket.socket:
    import ssl  # noqa: PLC0415 - slow to import, and few configurations have TLS

    # The certificate is for the name that callers use, not for this address, and its authority may be one that only
    # they trust. Nothing secret is exchanged, and a restart would not fix an expired certificate.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def _problem_with(line: bytes) -> str | None:
    """Return why an answer does not come from a proxy that is ready, or None if it does."""
    if not line:
        return "the connection was closed without an answer"
    answered = re.match(rb"HTTP/1\.1 (\d{3}) ", line)
    if answered is None:
        return "the answer is not HTTP"
    status = int(answered[1])
    return {200: None, 503: "not ready"}.get(status, f"answered {status}, which trigger-shim never does")
