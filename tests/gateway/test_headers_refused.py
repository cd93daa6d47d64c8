"""Requests that are refused because of their headers."""

import pytest

from proxy import errors
from proxy.gateway import headers
from proxy.gateway.headers import SINGLE, Header, one_hop_less


def check(request: list[Header], version: str = "1.1") -> None:
    headers.check(request, dict(reversed(request)), version, SINGLE)


@pytest.mark.parametrize(
    "via",
    [
        b"1.1 trigger-shim",
        b"1.0 fred, 1.1 trigger-shim",
        b"1.1 trigger-shim, 1.1 other (a comment)",
        b"HTTP/1.1\ttrigger-shim",
        b"1.1  trigger-shim (comment)",
        b"2 Trigger-Shim",
    ],
)
def test_a_request_that_has_been_here_is_a_loop(via: bytes) -> None:
    with pytest.raises(errors.LoopDetected):
        check([(b"via", b"1.1 first"), (b"via", via)])


@pytest.mark.parametrize(
    "request_headers",
    [
        [],
        [(b"via", b"")],
        [(b"via", b"1.1")],
        [(b"via", b"1.1 my-trigger-shim, 1.1 trigger-shim-2")],
        [(b"via", b"1.1 other (trigger-shim)")],
        [(b"x-via", b"1.1 trigger-shim")],
        [(b"upgrade", b"h2c")],
        [(b"upgrade", b"TLS/1.0")],
        [(b"connection", b"upgrade")],
        [(b"upgrade", b"websocket")],
        [(b"upgrade", b"websocket"), (b"connection", b"keep-alive, x-upgrade")],
        [(b"upgrade", b"websockets, x-websocket"), (b"connection", b"upgrade")],
    ],
)
def test_any_other_request_is_no_loop_and_no_websocket(request_headers: list[Header]) -> None:
    check(request_headers)


@pytest.mark.parametrize("upgrade", [b"websocket", b"WebSocket", b"h2c, websocket", b"websocket/13"])
@pytest.mark.parametrize("connection", [b"upgrade", b"Upgrade", b"keep-alive ,\tUPGRADE, x"])
def test_a_request_for_a_websocket_is_refused(upgrade: bytes, connection: bytes) -> None:
    with pytest.raises(errors.UpgradeRefused):
        check([(b"connection", connection), (b"upgrade", upgrade)])


def test_http_1_0_has_no_upgrade() -> None:
    check([(b"connection", b"upgrade"), (b"upgrade", b"websocket")], version="1.0")


@pytest.mark.parametrize("name", [b"authorization", b"user-agent"])
@pytest.mark.parametrize("second", [b"first", b"second", b""])
def test_a_field_that_the_proxy_acts_on_has_one_value(name: bytes, second: bytes) -> None:
    check([(name, b"first"), (b"cookie", b"a"), (b"cookie", b"b")])

    with pytest.raises(errors.InvalidRequest, match=rf"{name.decode().title()}.* once"):
        check([(name, b"first"), (b"x-between", b"1"), (name, second)])


# --- how far a request may go


@pytest.mark.parametrize(("given", "left"), [(b"1", b"0"), (b"10", b"9"), (b"007", b"6"), (b"999999999", b"999999998")])
def test_a_request_has_one_hop_less_to_go_with_each(given: bytes, left: bytes) -> None:
    sent = [(b"x-a", b"1"), (b"max-forwards", given), (b"x-b", b"2")]

    assert one_hop_less(sent) == [(b"x-a", b"1"), (b"max-forwards", left), (b"x-b", b"2")]


@pytest.mark.parametrize("given", [b"", b"-1", b"+1", b"x", b"1.0", b"1, 1", b"1 1", b"0x1", b"1_0", b"9" * 5000])
def test_a_number_of_hops_is_a_number(given: bytes) -> None:
    with pytest.raises(errors.InvalidRequest, match="Max-Forwards"):
        one_hop_less([(b"max-forwards", given)])


def test_there_is_one_number_of_hops() -> None:
    with pytest.raises(errors.InvalidRequest, match="Max-Forwards"):
        one_hop_less([(b"max-forwards", b"1"), (b"max-forwards", b"1")])
