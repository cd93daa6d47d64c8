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
from proxy.config import Config
from proxy.config.values import UnixPath
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
        self.app.upstream._timeouts.seconds = PATIENCE
        self.app.upstream._limits["connect"] = PATIENCE

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
            # An answer that breaks off leaves its socket open, for a later test to warn of.
            with connection.getresponse() as response:
                fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.getheaders()]
                line = f"HTTP/1.1 {response.status} {response.reason}".encode()
                return Answer(Head(line, fields), response.read())

    def connect(self) -> socket.socket:
        if self.port:
            return socket.create_connection((self.host, self.port), timeout=PATIENCE)
        with contextlib.ExitStack() as unless_connected:
            connection = unless_connected.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(PATIENCE)
            connection.connect(self.host)
            unless_connected.pop_all()
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
    values = {"callers": {}, "admin": None, "ledger": None, **sections}
    values["upstream"] = {"url": url, **values.get("upstream", {})}
    log, settings = _settings(folder, values)
    public = _listener("listen", sections)
    app = App(settings, now=now) if now is not None else App(settings)
    with server.background(app, public, tls=settings.tls, behind=_behind(settings)):
        yield at(public, log, app)


def _settings(folder: Path, values: dict[str, Any]) -> tuple[Path, Config]:
    log = folder / "callers.jsonl"
    return log, config.load(None, {}, {**values, "callers": {"log": str(log), **values.get("callers", {})}})


def _listener(key: str, sections: dict[str, Any]) -> socket.socket:
    """A socket for a Unix path that is asked for, or else on a free port."""
    path: str = sections.get(key, "")
    return listeners.bind(key, UnixPath(path.removeprefix("unix:"))) if path else listeners.loopback()


def _behind(settings: Config) -> TrustedProxies | None:
    return TrustedProxies(settings.callers.trusted_proxies) if settings.callers.proxy_protocol else None


def at(bound: socket.socket, log: Path, app: App | None = None) -> Proxy:
    """The proxy that serves on a socket."""
    name = bound.getsockname()
    host, port = (name, 0) if isinstance(name, str) else name[:2]
    return Proxy(host, port, log, app)


@contextlib.contextmanager
def watched(
    url: str, folder: Path, transport: httpx.AsyncBaseTransport | None = None, **sections: Any
) -> Iterator[tuple[Proxy, Proxy]]:
    """A proxy and its admin listener, without a ledger. `sections` are merged into the configuration."""
    log, settings = _settings(folder, {"upstream": {"url": url}, "ledger": None, **sections})
    public, admin = _listener("listen", sections), _listener("admin", sections)
    app = App(settings, listeners.address(admin).name, transport)
    with server.background(app, public, admin, behind=_behind(settings)):
        yield at(public, log, app), at(admin, log)
