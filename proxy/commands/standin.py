"""Serves the stand-in for the service."""

import argparse
import signal

from proxy import signals
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import values

SUMMARY = "serve a stand-in for the service, to try the proxy without it"
EPILOG = """\
It has one repository, acme/shop, accepts any token, and keeps runs in memory.

example:
  trigger-shim standin --listen 127.0.0.1:9000"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        type=_address,
        default="127.0.0.1:9000",
        metavar="HOST:PORT",
        help="where the proxy connects (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> ExitStatus:
    # Imported here so that `trigger-shim --help` does not import a server.
    from proxy.gateway.server import listeners, server  # noqa: PLC0415
    from proxy.standin.app import StandIn  # noqa: PLC0415

    try:
        listening = listeners.bind("--listen", options.listen)
    except listeners.ServeError as problem:
        raise CommandError(ExitStatus.FAILED, str(problem)) from None
    signals.hold()
    with server.background(StandIn(), listening):
        print(f"stand-in for the service on http://{listeners.address(listening)}", flush=True)
        signal.sigwait(signals.STOP)
    return ExitStatus.OK


def _address(value: str) -> values.Address:
    try:
        address: values.Address = values.read(values.ListenAddress, value)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
    return address
