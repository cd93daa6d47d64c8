from typing import NamedTuple

import pytest

from proxy import errors
from proxy.gateway.server.parser import Reading, RequestHead, RequestParser

GET = b"GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nX: 2\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
H2C = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


class Calls(NamedTuple):
    """What a parser has called, in order."""

    heads: list[RequestHead]
    events: list[str | bytes]

    def head_started(self) -> None:
        self.events.append("started")

    def head_received(self, head: RequestHead) -> None:
        self.heads.append(head)
        self.events.append(head.method)

    def body_received(self, body: bytes) -> None:
        self.events.append(body)

    def body_ended(self) -> None:
        self.events.append("ended")


def parsed(*pieces: bytes) -> tuple[Calls, Reading]:
    calls = Calls([], [])
    parser = RequestParser(calls)
    for piece in pieces:
        parser.feed(piece)
    return calls, parser.reading


def test_a_head_says_what_the_connection_needs() -> None:
    calls, _ = parsed(GET)

    headers = [(b"host", b"h"), (b"x", b"1"), (b"x", b"2")]
    fields = {b"host": b"h", b"x": b"1"}
    head = RequestHead("GET", "1.1", b"/a?b", headers, fields, keep_alive=True, has_body=False)
    assert calls.heads == [head]


@pytest.mark.parametrize(
    ("pieces", "events", "reading"),
    [
        ([GET], ["started", "GET"], Reading.BETWEEN),
        ([GET[:20]], ["started"], Reading.HEAD),
        ([GET[:20], GET[20:]], ["started", "GET"], Reading.BETWEEN),
        ([POST], ["started", "POST"], Reading.BODY),
        ([POST, b"ab", b"cd"], ["started", "POST", b"ab", b"cd", "ended"], Reading.BETWEEN),
        ([CHUNKED, b"2\r\nab\r\n"], ["started", "POST", b"ab"], Reading.BODY),
        ([CHUNKED, b"0\r\nT: x\r\n\r\n"], ["started", "POST", "ended"], Reading.BETWEEN),
        ([GET + GET[:1]], ["started", "GET", "started"], Reading.HEAD),
        ([POST[:-2] + H2C + b"\r\nab"], ["started", "POST", b"ab"], Reading.BODY),
        (
            [POST[:-2] + H2C + b"\r\nabcd" + GET],
            ["started", "POST", b"abcd", "ended", "started", "GET"],
            Reading.BETWEEN,
        ),
    ],
)
def test_a_parser_knows_what_it_reads(pieces: list[bytes], events: list[str | bytes], reading: Reading) -> None:
    calls, now = parsed(*pieces)

    assert (calls.events, now) == (events, reading)


def test_what_a_receiver_raises_comes_out_of_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise errors.Overloaded("enough")

    monkeypatch.setattr(Calls, "head_received", refuse)

    with pytest.raises(errors.Overloaded):
        parsed(GET)
