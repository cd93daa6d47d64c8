"""Asks the running proxy whether it is ready, as a probe of a container does."""

import argparse
import contextlib
import ipaddress
import re
import socket
import time

from proxy.commands.config_options import add_config, add_overrides, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config
from proxy.config.values import Address

SUMMARY = "ask the running proxy whether it is ready; the exit status says it, for probes"
EPILOG = """\
example:
  trigger-shim health --config config.yaml"""

TIMEOUT = 3.0
"""Seconds for the whole of the question."""

_MAX_LINE = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `health`."""
    add_config(parser)
    add_overrides(parser)


def run(options: argparse.Namespace) -> ExitStatus:
    """Ask the proxy with this configuration.

    Raises:
        CommandError: it is not ready, or the configuration does not say where to ask.
    """
    settings = require_config(options)
    where, path = _readiness_page(settings)
    url = f"{'http' if settings.tls is None else 'https'}://{where}{path}"
    try:
        line = _status_line(where, path, tls=settings.tls is not None)
    except TimeoutError:
        problem: str | None = f"no answer within {TIMEOUT:g} s"
    except OSError as error:
        problem = error.strerror or "cannot be asked"
    else:
        problem = _problem_with(line)
    if problem is not None:
        raise CommandError(ExitStatus.FAILED, f"{url}: {problem}")
    return ExitStatus.OK


def _readiness_page(settings: Config) -> tuple[Address, str]:
    """The listener to ask, and the path."""
    key, listener = ("listen", settings.listen) if settings.admin is None else ("admin", settings.admin)
    if listener.port == 0:
        problem = f"{key}: port 0 is another one at each start; write one that can be asked"
        raise CommandError(ExitStatus.USAGE, problem)
    return _connectable(listener), "/-/readyz" if key == "listen" else "/readyz"


def _connectable(listener: Address) -> Address:
    """Where a listener can be called; one on all addresses can be called on that of the loopback interface."""
    with contextlib.suppress(ValueError):
        host = ipaddress.ip_address(listener.host)
        if host.is_unspecified:
            return listener._replace(host="127.0.0.1" if host.version == 4 else "::1")
    return listener


def _status_line(where: Address, path: str, *, tls: bool) -> bytes:
    """The first line of the answer, or as much of it as there is.

    No HTTP client of the standard library bounds the whole of an exchange, and each costs more than the question.

    Raises:
        OSError: there is none, or not in time.
    """
    deadline = time.monotonic() + TIMEOUT
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(where, TIMEOUT))
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


def _remaining(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)  # 0 would mean: do not wait, and tell it by another error


def _with_tls(connection: socket.socket) -> socket.socket:
    import ssl  # noqa: PLC0415 - few need it, and each probe would wait for it

    # The certificate has the name that callers use, not this address, and may be of an authority that only they trust.
    # Nothing secret is asked or told, and no restart mends a certificate that has expired.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def _problem_with(line: bytes) -> str | None:
    """What the first line of an answer says against the proxy's being ready."""
    if not line:
        return "the connection ended without an answer"
    answered = re.match(rb"HTTP/1\.1 (\d{3}) ", line)
    if answered is None:
        return "answered something that is no HTTP"
    status = int(answered[1])
    return {200: None, 503: "not ready"}.get(status, f"answered {status}, as no trigger-shim does")
