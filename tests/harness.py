"""What the end-to-end tests stand on: a proxy on a real socket, and an upstream that does as it is told."""

import contextlib
import http.client
import json
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self, cast

import httpx
from prometheus_client.parser import text_string_to_metric_families

from proxy import config
from proxy.gateway.app import App
from proxy.gateway.call.policy import Clock
from proxy.gateway.server import server

TRIGGER = "/acme/shop/ci_workflows/build/trigger"
HEAD = f"POST {TRIGGER} HTTP/1.1\r\nHost: proxy\r\n"
PATIENCE = 60
"""Seconds that a test waits for what is bound to come: a busy machine takes ten times as long as an idle one."""

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


def until(condition: Callable[[], Any]) -> Any:
    """Wait for what is bound to come, and fail where it does not."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)
    return found


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
    reset_on_close(connection)
    raise _Close


def reset_on_close(connection: socket.socket) -> None:
    """Have the connection end with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def held(release: threading.Event) -> Script:
    """Answer with a run, once released."""

    def script(connection: socket.socket) -> None:
        assert release.wait(PATIENCE)
        reply()(connection)

    return script


def stays_silent(_connection: socket.socket) -> None:
    """Say nothing, and keep the connection open."""


@dataclass
class Upstream:
    """An HTTP server of raw sockets.

    Attributes:
        script: what to do with each request.
        received: every request that came whole, oldest first.
        arrived: set with each request.
        tls: what to show where it speaks TLS.
        connections: how many there have been.
        begun: for every request of which a byte came, the number of its connection.
    """

    script: Script = field(default_factory=reply)
    received: list[Received] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    tls: ssl.SSLContext | None = None
    url: str = ""
    connections: int = 0
    begun: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self, listener: socket.socket | None = None) -> Iterator["Upstream"]:
        """Serve on a free port, or on a socket that is bound."""
        with listener or socket.create_server(("127.0.0.1", 0)) as listening:
            listening.listen(1024)
            self.url = "http://{}:{}".format(*listening.getsockname())
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
            yield self
            # Closing alone does not wake a thread that waits in accept.
            listening.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), self._secured(connection) as secured, secured.makefile("rb") as stream:
            while (request := self._next(stream, number)) is not None:
                self.received.append(request)
                self.arrived.set()
                self.script(secured)
                if request.all("transfer-encoding"):
                    _skip_chunks(stream)
            secured.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    def _next(self, stream: BufferedReader, number: int) -> Received | None:
        if stream.peek(1):
            self.begun.append(number)
        return _read(stream)

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(connection, server_side=True) if self.tls is not None else connection


def _read(stream: Any) -> Received | None:
    start = stream.readline().decode("latin-1").split()
    if len(start) != 3 or not start[2].startswith("HTTP/"):  # a greeting of TLS may have three words, too
        return None
    headers = []
    while (line := stream.readline().decode("latin-1").strip("\r\n")) != "":
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Received(start[0], start[1], headers, stream.read(length))


def _skip_chunks(stream: Any) -> None:
    """Read the chunks that a script has left: they would be taken for the next request, and answered."""
    with contextlib.suppress(ValueError):
        while size := int(stream.readline().partition(b";")[0] or b"0", 16):
            stream.read(size + 2)
        while stream.readline() not in {b"\r\n", b""}:
            pass


@dataclass
class Proxy:
    """A proxy on a free loopback port.

    Attributes:
        app: what answers, where that is in this process.
    """

    host: str
    port: int
    log: Path
    app: App | None = None

    def patient(self) -> None:
        """Wait for the service from now on, however busy the machine is."""
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
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Authorization": "Bearer secret-token", **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=PATIENCE)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().split("\n") if line]

    def records(self) -> list[dict[str, Any]]:
        return [event for event in self.events() if event["event"] == "deprecated_call"]

    def called(self) -> dict[tuple[str, str, str], int]:
        """How many records there are, by endpoint, outcome and class of the status."""
        return Counter(
            (record["endpoint"], record["outcome"], f"{record['status'] // 100}xx") for record in self.records()
        )


@contextlib.contextmanager
def proxy_for(url: str, folder: Path, now: Clock | None = None, **sections: Any) -> Iterator[Proxy]:
    """A proxy in front of an upstream's URL; `sections` are laid over the configuration."""
    log = folder / "callers.jsonl"
    values = {"callers": {"log": str(log)}, "admin": None, **sections}
    values["upstream"] = {"url": url, **values.get("upstream", {})}
    values["callers"] = {"log": str(log), **values["callers"]}
    public = server.loopback()
    host, port = public.getsockname()
    settings = config.load(None, {}, values)
    app = App(settings, now=now) if now is not None else App(settings)
    with server.background(app, public, tls=settings.tls):
        yield Proxy(host, port, log, app)


@contextlib.contextmanager
def watched(
    url: str, folder: Path, transport: httpx.AsyncBaseTransport | None = None, **sections: Any
) -> Iterator[tuple[Proxy, Proxy]]:
    """A proxy and its admin listener; `sections` are laid over the configuration."""
    log = folder / "callers.jsonl"
    values = {"upstream": {"url": url}, "callers": {"log": str(log)}, **sections}
    public, admin = server.loopback(), server.loopback()
    app = App(config.load(None, {}, values), admin.getsockname()[1], transport)
    with server.background(app, public, admin):
        proxy, pages = (Proxy("127.0.0.1", bound.getsockname()[1], log) for bound in (public, admin))
        yield proxy, pages


class Scrape:
    """What ``/metrics`` of an admin listener says at one moment."""

    def __init__(self, admin: Proxy, accept: str = "text/plain") -> None:
        answer = admin.call("/metrics", None, {"Accept": accept}, "GET")
        assert answer.status == 200, answer.body
        self.text = answer.body.decode()
        self.families = list(text_string_to_metric_families(self.text))
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __getitem__(self, name: str) -> float:
        return self.value(name)

    def value(self, name: str, **labels: str) -> float:
        return self.samples["trigger_shim_" + name, frozenset(labels.items())]

    def labels(self, name: str, label: str) -> set[str]:
        """The values that a label of a metric has."""
        return {dict(labels)[label] for found, labels in self.samples if found == "trigger_shim_" + name}

    def sunsets(self) -> dict[str, str]:
        """The date from which on each caller is refused."""
        return {
            dict(labels)["caller"]: datetime.fromtimestamp(value, UTC).isoformat().removesuffix("T00:00:00+00:00")
            for (name, labels), value in self.samples.items()
            if name == "trigger_shim_caller_sunset_timestamp_seconds"
        }

    def calls(self) -> dict[tuple[str, str, str], float]:
        """How many calls there were, by endpoint, outcome and class of the status; what never was is left out."""
        found = {
            tuple(dict(labels)[label] for label in ("endpoint", "outcome", "status")): value
            for (name, labels), value in self.samples.items()
            if name == "trigger_shim_calls_total" and value
        }
        return cast("dict[tuple[str, str, str], float]", found)


class Head(NamedTuple):
    """The first line and the headers of a request or an answer."""

    line: bytes
    headers: list[tuple[bytes, bytes]]

    @property
    def status(self) -> int:
        return int(self.line.split()[1])

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Broken(Exception):
    """The connection ended before what was to come was whole."""


class Wire:
    """One end of a connection, read and written by hand."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self.connection = connection
        self.stream: BinaryIO = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def head(self) -> Head:
        lines = []
        while (line := self.stream.readline()) not in {b"\r\n", b""}:
            lines.append(line.removesuffix(b"\r\n"))
        if not lines:
            raise Broken
        fields = [line.partition(b":") for line in lines[1:]]
        return Head(lines[0], [(name, value.removeprefix(b" ")) for name, _, value in fields])

    def body(self, length: int) -> bytes:
        """So many bytes.

        Raises:
            Broken: there are less.
        """
        content = self.stream.read(length)
        if len(content) < length:
            raise Broken
        return content

    def chunk(self) -> bytes:
        """A chunk; the last one is empty."""
        line = self.stream.readline()
        if not line:
            raise Broken
        content = self.body(int(line, 16))
        assert self.body(2) == b"\r\n"
        return content

    def chunks(self) -> bytes:
        """A whole chunked body."""
        return b"".join(iter(self.chunk, b""))

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return self.stream.read()

    def answer(self, method: str = "GET") -> tuple[Head, bytes]:
        """A whole answer.

        Raises:
            Broken: it is not whole.
        """
        head = self.head()
        if method == "HEAD" or head.status in {204, 304}:
            return head, b""
        if head.all(b"transfer-encoding") == [b"chunked"]:
            return head, self.chunks()
        lengths = head.all(b"content-length")
        return head, self.body(int(lengths[0])) if lengths else self.rest()

    def ended(self) -> bool:
        """Wait for the other end to be gone, however it went."""
        try:
            return self.rest() is not None
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.stream.close()
        self.connection.close()

    def reset(self) -> None:
        reset_on_close(self.connection)
        self.close()


class ByHand:
    """A proxy between a caller and an upstream that a test plays both."""

    def __init__(self, proxy: Proxy, listener: socket.socket) -> None:
        self.proxy = proxy
        self._listener = listener
        self._wires: list[Wire] = []

    def caller(self, request: bytes = b"") -> Wire:
        """A connection to the proxy, with what is sent over it at once."""
        wire = self._kept(self.proxy.connect())
        wire.send(request)
        return wire

    def upstream(self) -> Wire:
        """The next connection from the proxy."""
        self._listener.settimeout(PATIENCE)
        return self._kept(self._listener.accept()[0])

    def settle(self) -> None:
        """Close every connection, and wait until the proxy has seen it."""
        while self._wires:
            self._wires.pop().close()
        # The proxy has seen the end of a connection once it answers somebody who came later.
        assert self.proxy.call("/-/healthz", method="GET", body=None).status == 200

    def _kept(self, connection: socket.socket) -> Wire:
        self._wires.append(Wire(connection))
        return self._wires[-1]


@contextlib.contextmanager
def by_hand(folder: Path, base: str = "", **sections: Any) -> Iterator[ByHand]:
    """A proxy whose upstream is played by hand below a base path; `sections` are laid over the configuration."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        proxy_for("http://{}:{}".format(*listener.getsockname()) + base, folder, **sections) as proxy,
    ):
        hands = ByHand(proxy, listener)
        try:
            yield hands
        finally:
            hands.settle()
