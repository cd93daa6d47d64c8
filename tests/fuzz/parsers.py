"""Each parser that reads what strangers write, with input for it and with what holds whatever it reads."""

import asyncio
import contextlib
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hypothesis import strategies as st
from structlog.testing import capture_logs

from proxy import config, errors
from proxy.callers.log import envelope
from proxy.callers.render import formats
from proxy.callers.report.analysis import Logs, analyze
from proxy.calls.call import Language, NotRead
from proxy.calls.shell import script
from proxy.calls.translation import translate
from proxy.calls.write import new_call
from proxy.calls.write.written import Target
from proxy.config import ConfigError
from proxy.errors import InvalidBody, InvalidPath, ProxyError
from proxy.gateway.server.exchange import ServerState
from proxy.gateway.server.parser import RequestParser
from proxy.gateway.server.protocol import Protocol
from proxy.gateway.server.proxy_protocol import MAX_SIZE, Malformed, ProxyHeader, parse
from proxy.gateway.server.request import HEAD_LIMIT, HEADERS_LIMIT
from proxy.gateway.upstream.response_parser import ResponseParser
from proxy.scan import files, patterns
from proxy.scan.suppressions import sift
from proxy.withdrawn import endpoints, run_workflows, trigger
from tests.fuzz import pieces
from tests.fuzz.inputs import inputs
from tests.fuzz.secrets import secrets

Check = Callable[[bytes], None]


class Parser(NamedTuple):
    """A parser.

    Attributes:
        inputs: makes up input for it.
        check: fails if what must hold does not.
    """

    inputs: st.SearchStrategy[bytes]
    check: Check


ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What a terminal acts on."""


def cuts(data: bytes) -> Iterator[bytes]:
    """The data in a few pieces, always the same."""
    size = 1 + len(data) % 13 * 7
    for at in range(0, len(data), size):
        yield data[at : at + size]


# --- requests


class _Request:
    """Keeps what a parser says of requests."""

    def __init__(self) -> None:
        self.parser = RequestParser(self)
        self.said: list[Any] = []
        self.body = b""

    def head_started(self) -> None:
        """Do nothing."""

    def head_received(self) -> None:
        parser = self.parser
        assert len(parser.headers) <= HEADERS_LIMIT
        assert sum(len(name) + len(value) for name, value in parser.headers) <= HEAD_LIMIT
        self.said.append((parser.method, parser.target, tuple(parser.headers), parser.has_body, parser.keep_alive))

    def body_received(self, body: bytes) -> None:
        self.body += body

    def body_ended(self) -> None:
        self.said.append(self.body)
        self.body = b""

    def feed(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self.parser.feed(piece)
        except ProxyError as error:
            self.said.append(error.status)


def requests(data: bytes) -> None:
    """Requests are the same however they are cut, and nothing but an error of the proxy's own is raised."""
    whole = _Request()
    whole.feed(iter([data]))
    for pieces_of_it in (cuts(data), (data[at : at + 1] for at in range(len(data)))):
        cut = _Request()
        cut.feed(pieces_of_it)
        assert whole.said == cut.said


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Do nothing."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing."""

    def pause_reading(self) -> None:
        """Do nothing."""

    def resume_reading(self) -> None:
        """Do nothing."""


async def _echo(_scope: Any, receive: Any, send: Any) -> None:
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _converse(given: Iterable[bytes]) -> _Transport:
    transport, state = _Transport(), ServerState()
    connection = Protocol(_echo, state, None)
    connection.connection_made(transport)
    for piece in given:
        connection.data_received(piece)
        await asyncio.sleep(0)
    connection.eof_received()
    connection.connection_lost(None)
    await asyncio.gather(*state.tasks)
    return transport


def connections(data: bytes) -> None:
    """A connection answers with whole responses, and meets no fault of its own."""
    for given in ([data], cuts(data)):
        with capture_logs() as events:
            transport = asyncio.run(_converse(given))
        assert events == []
        assert transport.written == b"" or transport.written.startswith(b"HTTP/1.1 ")


# --- the PROXY protocol


def _header(data: bytes) -> ProxyHeader | str | None:
    try:
        return parse(data)
    except Malformed:
        return "refused"


def proxy_headers(data: bytes) -> None:
    """What was read or refused once stays so, whatever follows, and is decided within the longest size."""
    decided: ProxyHeader | str | None = None
    for size in range(len(data) + 1):
        found = _header(data[:size])
        assert decided in {None, found}
        decided = found
    assert _header(data.ljust(MAX_SIZE, b"x")) is not None


# --- responses


def responses(data: bytes) -> None:
    """A response is parsed without an exception; its body is no longer than what was received."""
    for to_head in (False, True):
        parser = ResponseParser()
        parser.expect(to_head=to_head)
        for piece in cuts(data):
            parser.feed(piece)
            if parser.problem is not None:
                break
        assert parser.status == 0 or 200 <= parser.status <= 999
        assert len(parser.take()) <= len(data)
        assert sum(len(name) + len(value) for name, value in parser.headers) <= len(data)


# --- bodies


def bodies(data: bytes) -> None:
    """A legacy body becomes JSON of about its size, or an error of bounded size; names for the record are bounded."""
    unchanged = run_workflows.to_successor(data)
    assert unchanged.body == data
    found = [unchanged]
    try:
        found.append(trigger.to_successor(data, "build"))
    except InvalidBody as error:
        assert len(error.body("r-1", starts_run=True)) < 1024
    else:
        json.loads(found[1].body)
        assert len(found[1].body) <= 2 * len(data) + 256
    for request in found:
        for names in (request.inputs, request.ignored_fields):
            assert len(names) <= trigger.NAMES_KEPT
            assert all(len(name) <= trigger.NAME_LENGTH for name in names)


def answers(data: bytes) -> None:
    """The service's answer becomes a legacy one, or an error; what is not translated stays as it is."""
    for status in (200, 204, 302, 404, 500, 599):
        assert run_workflows.to_legacy(status, data).body == data
        with contextlib.suppress(errors.UpstreamError, errors.InvalidAnswer):
            answer = trigger.to_legacy(status, data)
            json.loads(trigger.taken_over(answer).body)


# --- paths, and commands


def paths(data: bytes) -> None:
    """A successor's path has no segments but its own, and no more dots and escapes than names may have."""
    for method in ("GET", "POST", "PATCH", "DELETE"):
        found = endpoints.match(method, data.decode("latin-1"))
        if found is not None:
            with contextlib.suppress(InvalidPath):
                assert found.successor.count("/") == found.endpoint.successor.count("/")
                assert not {".", ".."} & set(found.successor.split("/"))
                assert found.workflow is None or len(found.workflow) <= len(data)


def commands(data: bytes) -> None:
    """Each call in a text is read or refused, is written in any form, and can be read again as curl."""
    text = data.decode(errors="replace")
    try:
        results = translate(text, Target.CURL).results
    except NotRead:
        return
    for result in results:
        if result.new is not None:
            for target in Target:
                with contextlib.suppress(NotRead):
                    new_call.write(result.new, target)
            assert len(result.text) <= 8 * len(text) + 1024
            (again,) = script.read(result.text).calls
            if result.new.language is Language.SHELL:
                assert again.shown(again.url) == result.new.shown(result.new.url)


# --- files

_NOW = datetime(2026, 11, 27, tzinfo=UTC)


def records(data: bytes) -> None:
    """A report on any log has no exception, and nothing in it acts on a terminal."""
    with (
        tempfile.NamedTemporaryFile(suffix=".jsonl") as file,
        contextlib.redirect_stderr(io.StringIO()),
        capture_logs(),
    ):
        file.write(data)
        file.flush()
        found = analyze(Logs([file.name]), (), _NOW)
    report, rows = found.report, found.report.rows
    table = io.StringIO()
    formats.show_table(report, rows, table)
    texts = ["".join(formats.to_json(report, rows, found.read)), formats.to_csv(report, rows), table.getvalue()]
    texts.append(formats.to_markdown(report, rows, found.read))
    assert [ACTING.findall(text.replace("\r\n", "\n")) for text in texts] == [[]] * 4


def lines(data: bytes) -> None:
    """What is found in a line is in it, an envelope changes nothing, and half a record beside it is not overlooked."""
    for line in data.split(b"\n"):
        parts = envelope.parts_of(line)
        assert sum(len(part if isinstance(part, bytes) else part[1]) for part in parts) <= len(line) + len(parts)
        with contextlib.suppress(UnicodeDecodeError):
            wrapped = json.dumps({"log": line.decode()}).encode()
            assert envelope.parts_of(wrapped, 4) == parts
        assert any(isinstance(part, bytes) for part in envelope.parts_of(line + pieces.HALF))


def sources(data: bytes) -> None:
    """A scan of any file ends, and each finding is in it."""
    text = files.decode(data)
    found = patterns.find(text)
    assert len(found) <= len(text)
    lines = text.count("\n") + 1
    assert all(1 <= finding.line <= lines and finding.column >= 1 for finding in found)
    assert all(finding.found == " ".join(text[finding.hit.start : finding.hit.end].split()) for finding in found)
    sift(text, found)


def configurations(data: bytes) -> None:
    """A file is a configuration or has problems, each in one line; what is written of it is read as the same again."""
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(data)
        file.flush()
        try:
            loaded = config.load(file.name, {})
        except ConfigError as error:
            assert error.problems
            assert all(len(problem.splitlines()) == 1 and len(problem) < 1024 for problem in error.problems)
            return
        assert "hunter2" not in config.render(loaded)


PARSERS = {
    "requests": Parser(inputs(pieces.HEADS, pieces.REQUESTS), requests),
    "connections": Parser(inputs(pieces.HEADS, pieces.REQUESTS), connections),
    "proxy_headers": Parser(inputs(pieces.ANNOUNCEMENTS, pieces.ANNOUNCED), proxy_headers),
    "responses": Parser(inputs(pieces.STATUS, pieces.RESPONSES), responses),
    "bodies": Parser(inputs(pieces.JSON, pieces.BODIES), bodies),
    "answers": Parser(inputs(pieces.JSON, pieces.BODIES), answers),
    "paths": Parser(inputs(pieces.PATHS, pieces.CALLED), paths),
    "commands": Parser(inputs(pieces.SHELL, pieces.COMMANDS), commands),
    "records": Parser(inputs(pieces.LINES, pieces.LOGS), records),
    "lines": Parser(inputs(pieces.LINES, pieces.LOGS), lines),
    "sources": Parser(inputs(pieces.SOURCES, pieces.FILES), sources),
    "secrets": Parser(inputs(pieces.JSON, pieces.BODIES), secrets),
    "configurations": Parser(inputs(pieces.YAML, pieces.CONFIGS), configurations),
}
