import pytest

from proxy.gateway.headers import Header
from proxy.gateway.upstream.response_parser import IDLE_MARGIN, ResponseParser, validate_head

LENGTH = (b"Content-Length", b"2")
CHUNKED = (b"Transfer-Encoding", b"chunked")


def test_a_response_is_the_same_however_it_is_cut() -> None:
    response = b"HTTP/1.1 103 X\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=9\r\n\r\nok"
    parser = ResponseParser()
    for cut in range(1, len(response)):
        parser.expect(to_head=False)
        parser.feed(response[:cut])
        assert not parser.is_complete
        parser.feed(response[cut:])
        assert (parser.status, parser.headers) == (200, [LENGTH, (b"Keep-Alive", b"timeout=9")])
        assert (parser.is_complete, parser.keeps_alive, parser.idle_limit) == (True, True, 9 - IDLE_MARGIN)
        assert (parser.buffered, parser.take(), parser.buffered, parser.problem) == (2, b"ok", 0, None)


def test_a_body_after_the_response_to_head_ends_the_connection() -> None:
    parser = ResponseParser()
    parser.expect(to_head=True)
    parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (parser.is_complete, parser.keeps_alive, parser.take()) == (True, False, b"")


@pytest.mark.parametrize(
    ("status", "headers", "ends_with_connection"),
    [
        (200, [LENGTH], False),
        (200, [CHUNKED], False),
        (200, [(b"transfer-encoding", b"CHUNKED ")], False),
        (200, [(b"Content-Length", b"0" * 17 + b"2")], False),
        (200, [], True),
        (103, [], True),
        (999, [LENGTH], False),
    ],
)
def test_a_head_says_whether_its_body_ends_with_the_connection(
    status: int, headers: list[Header], ends_with_connection: bool
) -> None:
    assert validate_head(status, "1.1", headers) == (ends_with_connection, None)


@pytest.mark.parametrize(
    ("status", "version", "headers", "reason"),
    [
        (200, "2.0", [LENGTH], "not HTTP"),
        (200, "0.9", [LENGTH], "not HTTP"),
        (200, "1.2", [LENGTH], "not HTTP"),
        (0, "1.1", [LENGTH], "not HTTP"),
        (99, "1.1", [LENGTH], "not HTTP"),
        (200, "1.1", [(b"Content-Length", b"0" * 5000 + b"2")], "length"),
        (200, "1.1", [(b"Content-Length", b"9223372036854775807")], "length"),
        (304, "1.1", [(b"Content-Length", b"18446744073709551615")], "length"),
        (200, "1.1", [(b"Transfer-Encoding", b"gzip, chunked")], "length"),
        (200, "1.1", [CHUNKED, CHUNKED], "length"),
        (200, "1.1", [(b"Transfer-Encoding", b"")], "length"),
        (100, "1.1", [LENGTH], "interim"),
        (103, "1.1", [CHUNKED], "interim"),
    ],
)
def test_a_head_that_cannot_be_is_refused(status: int, version: str, headers: list[Header], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        validate_head(status, version, headers)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"timeout=5", 5),
        (b"timeout=5, max=100", 5),
        (b"max=100,Timeout = 5", 5),
        (b"timeout=0", 0),
        (b"max=100", None),
        (b"timeout=", None),
        (b"timeout=-5", None),
        (b"idle-timeouts=5", None),
        (b"\xff", None),
    ],
)
def test_the_service_says_for_how_long_it_keeps_an_idle_connection(value: bytes, seconds: float | None) -> None:
    _, idle = validate_head(200, "1.1", [LENGTH, (b"Keep-Alive", value)])
    assert idle == (None if seconds is None else seconds - IDLE_MARGIN)


def test_an_endless_time_is_a_long_one() -> None:
    _, idle = validate_head(200, "1.1", [(b"keep-alive", b"timeout=" + b"9" * 5000)])
    assert idle is not None
    assert idle > 1e8
