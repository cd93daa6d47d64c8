"""A proxy on a real socket, and the stand-in successor behind it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from proxy.gateway.server import listeners, server
from proxy.standin.app import StandIn
from tests.support.proxy import Proxy, proxy_for


class World(NamedTuple):
    """Both, and the address of each."""

    proxy: Proxy
    standin: StandIn
    url: str
    successor: str


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """Both running; the records are whole once the block has ended."""
    standin, listener = StandIn(), listeners.loopback()
    successor = "http://{}:{}".format(*listener.getsockname())
    with server.background(standin, listener), proxy_for(successor, folder) as proxy:
        yield World(proxy, standin, f"http://{proxy.host}:{proxy.port}", successor)
