"""Serves only the stand-in."""

import argparse
import signal

from proxy import signals
from proxy.config.values import Address
from proxy.gateway.server import listeners, server
from proxy.standin.app import StandIn


def main() -> None:
    """Serve the stand-in until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m proxy.standin", description="The successor's API in memory.")
    parser.add_argument("--listen", default="127.0.0.1:9000", metavar="HOST:PORT")
    host, _, port = parser.parse_args().listen.rpartition(":")
    signals.hold()
    with server.background(StandIn(), listeners.bind("--listen", Address(host, int(port)))):
        print(f"the stand-in successor on http://{host}:{port}", flush=True)
        signal.sigwait(signals.STOP)


if __name__ == "__main__":
    main()
