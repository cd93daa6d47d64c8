from collections.abc import Iterator

import pytest

from proxy.gateway.server import listeners, server
from proxy.standin.app import StandIn
from tests.standin.client import Client


@pytest.fixture
def call() -> Iterator[Client]:
    listener = listeners.loopback()
    host, port = listener.getsockname()
    with server.background(StandIn(), listener):
        yield Client(host, port)
