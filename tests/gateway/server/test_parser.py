import pytest

from proxy import errors
from proxy.gateway.server.parser import Reading, RequestParser

GET = b"GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nX: 2\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
H2C = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


class Calls:
    """What a parser has called, in order."""

    def __init__(self) -> None:
        self.events: list[str | bytes] = []

    def head_started(self) -> None:
        self.events.append("started")

    def head_received(self) -> None:
        self.events.append("head")

    def body_received(self, body: bytes) -> None:
        self.events.append(body)

    def body_ended(self) -> None:
        self.events.append("ended")


def parsed(*pieces: bytes) -> tuple[RequestParser, list[str | bytes]]:
    calls = Calls()
    parser = RequestParser(calls)
    for piece in pieces:
        parser.feed(piece)
    return parser, calls.events


def test_a_head_says_what_the_connection_needs() -> None:
    parser, _ = parsed(GET)

    assert (parser.method, parser.version, parser.target) == ("GET", "1.1", b"/a?b")
    assert parser.headers == [(b"host", b"h"), (b"x", b"1"), (b"x", b"2")]
    assert parser.fields == {b"host": b"h", b"x": b"1"}
    assert (parser.keep_alive, parser.has_body) == (True, False)


@pytest.mark.parametrize(
    ("pieces", "events", "reading"),
    [
        ([GET], ["started", "head"], Reading.BETWEEN),
        ([GET[:20]], ["started"], Reading.HEAD),
        ([GET[:20], GET[20:]], ["started", "head"], Reading.BETWEEN),
        ([POST], ["started", "head"], Reading.BODY),
        ([POST, b"ab", b"cd"], ["started", "head", b"ab", b"cd", "ended"], Reading.BETWEEN),
        ([CHUNKED, b"2\r\nab\r\n"], ["started", "head", b"ab"], Reading.BODY),
        ([CHUNKED, b"0\r\nT: x\r\n\r\n"], ["started", "head", "ended"], Reading.BETWEEN),
        ([GET + GET[:1]], ["started", "head", "started"], Reading.HEAD),
        ([POST[:-2] + H2C + b"\r\nab"], ["started", "head", b"ab"], Reading.BODY),
        (
            [POST[:-2] + H2C + b"\r\nabcd" + GET],
            ["started", "head", b"abcd", "ended", "started", "head"],
            Reading.BETWEEN,
        ),
    ],
)
def test_a_parser_knows_what_it_reads(pieces: list[bytes], events: list[str | bytes], reading: Reading) -> None:
    parser, called = parsed(*pieces)

    assert (called, parser.reading) == (events, reading)


def test_the_parser_raises_what_its_receiver_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise errors.Overloaded("enough")

    monkeypatch.setattr(Calls, "head_received", refuse)

    with pytest.raises(errors.Overloaded):
        parsed(GET)
