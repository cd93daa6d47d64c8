"""What the end-to-end tests stand on: a proxy on a real socket, and an upstream that does as it is told."""

import contextlib
import http.client
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from proxy import config
from proxy.gateway import server
from proxy.gateway.app import App

TRIGGER = "/acme/shop/ci_workflows/build/trigger"
RUN = b'{"id":"","slug":"7","status":"created","user":{"id":"u-1","slug":"alice"}}'


class Answer(NamedTuple):
    """What a caller got."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


class Received(NamedTuple):
    """What the upstream got."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class _Close(OSError):
    """Raised by a script to end its connection."""


Script = Callable[[socket.socket], None]


def reply(status: int = 200, body: bytes = RUN, headers: dict[str, str] | None = None) -> Script:
    """Answer whole, and keep the connection open."""
    head = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return sends(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode("latin-1") + body)


def sends(data: bytes) -> Script:
    """Send some bytes, and keep the connection open."""
    return lambda connection: connection.sendall(data)


def closes(data: bytes = b"") -> Script:
    """Send some bytes, and close."""

    def script(connection: socket.socket) -> None:
        connection.sendall(data)
        raise _Close

    return script


def resets(connection: socket.socket) -> None:
    """Break the connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise _Close


def stays_silent(_connection: socket.socket) -> None:
    """Say nothing, and keep the connection open."""


@dataclass
class Upstream:
    """An HTTP server of raw sockets.

    Attributes:
        script: what to do with each request.
        received: every request, oldest first.
        arrived: set with each request.
        tls: what to show where it speaks TLS.
    """

    script: Script = field(default_factory=reply)
    received: list[Received] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    tls: ssl.SSLContext | None = None
    url: str = ""

    @contextlib.contextmanager
    def running(self) -> Iterator["Upstream"]:
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            self.url = "http://{}:{}".format(*listener.getsockname())
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            yield self
            # Closing alone does not wake a thread that waits in accept.
            listener.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self._secured(connection) as secured, secured.makefile("rb") as stream:
            while (request := _read(stream)) is not None:
                self.received.append(request)
                self.arrived.set()
                self.script(secured)
            secured.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(connection, server_side=True) if self.tls is not None else connection


def _read(stream: Any) -> Received | None:
    start = stream.readline().decode("latin-1").split()
    if len(start) != 3:
        return None
    headers = []
    while (line := stream.readline().decode("latin-1").strip("\r\n")) != "":
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Received(start[0], start[1], headers, stream.read(length))


@dataclass
class Proxy:
    """A proxy on a free loopback port."""

    host: str
    port: int
    log: Path

    def call(
        self,
        path: str = TRIGGER,
        body: bytes | None = b"{}",
        headers: dict[str, str] | None = None,
        method: str = "POST",
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Authorization": "Bearer secret-token", **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=20)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().split("\n") if line]

    def records(self) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["event"] == "deprecated_call"]


@contextlib.contextmanager
def proxy_for(url: str, folder: Path, **sections: Any) -> Iterator[Proxy]:
    """A proxy in front of an upstream's URL; `sections` are laid over the configuration."""
    log = folder / "callers.jsonl"
    values = {"callers": {"log": str(log)}, "admin": None, **sections}
    values["upstream"] = {"url": url, **values.get("upstream", {})}
    values["callers"] = {"log": str(log), **values["callers"]}
    public = server.loopback()
    host, port = public.getsockname()
    with server.background(App(config.load(None, {}, values)), public):
        yield Proxy(host, port, log)
