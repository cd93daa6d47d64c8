"""The proxy under test, on real sockets in this process."""

import contextlib
import http.client
import json
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from proxy import config
from proxy.callers.trusted_proxies import TrustedProxies
from proxy.gateway.app import App
from proxy.gateway.call.policy import Clock
from proxy.gateway.server import listeners, server
from tests.support.waiting import PATIENCE
from tests.support.wire import Answer, Head, Wire

TRIGGER = "/acme/shop/ci_workflows/build/trigger"

HEAD = f"POST {TRIGGER} HTTP/1.1\r\nHost: proxy\r\n"


@dataclass
class Proxy:
    """A proxy on a free loopback port, or on a Unix socket.

    Attributes:
        host: its address, or the path of the socket, whose port is 0.
        app: its application, if it runs in this process.
    """

    host: str
    port: int
    log: Path
    app: App | None = None

    def patient(self) -> None:
        """From now on, wait for the service however busy the machine is."""
        assert self.app is not None
        self.app._upstream._timeouts.seconds = PATIENCE
        self.app._upstream._limits["connect"] = PATIENCE

    def call(
        self,
        path: str = TRIGGER,
        body: bytes | None = b"{}",
        headers: dict[str, str] | None = None,
        method: str = "POST",
    ) -> Answer:
        connection = http.client.HTTPConnection(*((self.host, self.port) if self.port else ("localhost",)))
        connection.sock = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Authorization": "Bearer secret-token", **(headers or {})})
            response = connection.getresponse()
            fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.getheaders()]
            return Answer(Head(b"HTTP/1.1 %d" % response.status, fields), response.read())

    def connect(self) -> socket.socket:
        if self.port:
            return socket.create_connection((self.host, self.port), timeout=PATIENCE)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(self.host)
        return connection

    def wire(self, sent: bytes = b"") -> Wire:
        """A new connection, on which some bytes are sent at once."""
        wire = Wire(self.connect())
        wire.offer(sent)
        return wire

    def has_read(self) -> None:
        """Return when the proxy has read what was sent to it before, since it answers a later call."""
        assert self.call("/-/healthz", method="GET", body=None).status == 200

    def events(self) -> list[dict[str, Any]]:
        # A line on two pages of the disk's cache can be seen while only its beginning is written.
        return [json.loads(line) for line in self.log.read_text().split("\n")[:-1] if line]

    def records(self) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["event"] == "deprecated_call"]

    def called(self) -> dict[tuple[str, str, str], int]:
        """The number of records by endpoint, outcome and class of the status."""
        return Counter(
            (record["endpoint"], record["outcome"], f"{record['status'] // 100}xx") for record in self.records()
        )


@contextlib.contextmanager
def proxy_for(url: str, folder: Path, now: Clock | None = None, **sections: Any) -> Iterator[Proxy]:
    """A proxy in front of an upstream, without a ledger. `sections` are merged into the configuration."""
    log = folder / "callers.jsonl"
    values = {"callers": {"log": str(log)}, "admin": None, "ledger": None, **sections}
    values["upstream"] = {"url": url, **values.get("upstream", {})}
    values["callers"] = {"log": str(log), **values["callers"]}
    settings = config.load(None, {}, values)
    public = listeners.bind("listen", settings.listen) if "listen" in sections else listeners.loopback()
    app = App(settings, now=now) if now is not None else App(settings)
    behind = TrustedProxies(settings.callers.trusted_proxies) if settings.callers.proxy_protocol else None
    with server.background(app, public, tls=settings.tls, behind=behind):
        yield at(public, log, app)


def at(bound: socket.socket, log: Path, app: App | None = None) -> Proxy:
    """The proxy that serves on a socket."""
    name = bound.getsockname()
    return Proxy(*((name, 0) if isinstance(name, str) else name[:2]), log, app)


@contextlib.contextmanager
def watched(
    url: str, folder: Path, transport: httpx.AsyncBaseTransport | None = None, **sections: Any
) -> Iterator[tuple[Proxy, Proxy]]:
    """A proxy and its admin listener, without a ledger. `sections` are merged into the configuration."""
    log = folder / "callers.jsonl"
    values = {"upstream": {"url": url}, "callers": {"log": str(log)}, "ledger": None, **sections}
    public, admin = listeners.loopback(), listeners.loopback()
    app = App(config.load(None, {}, values), admin.getsockname()[1], transport)
    with server.background(app, public, admin):
        proxy, pages = (Proxy("127.0.0.1", bound.getsockname()[1], log) for bound in (public, admin))
        yield proxy, pages
