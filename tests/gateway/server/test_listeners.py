import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from proxy import config
from proxy.config import Config
from proxy.config.values import Address
from proxy.gateway.server import listeners
from proxy.gateway.server.listeners import ServeError, bind, listen, loopback


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The ports of two sockets that the service manager passes."""
    sockets = [loopback(), loopback()]
    first = sockets[0].fileno()
    os.dup2(sockets[1].fileno(), first + 1) if sockets[1].fileno() != first + 1 else None
    monkeypatch.setattr(listeners, "_FIRST_PASSED", first)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    yield [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.detach()


def settings(listen: str, admin: str | None) -> Config:
    values: dict[str, Any] = {"listen": listen, "admin": admin, "ledger": None, "upstream": {"url": "http://h"}}
    return config.load(None, {}, values)


def ports(opened: listeners.Listeners) -> list[int]:
    found = [bound.getsockname()[1] for bound in opened.sockets]
    for bound in opened.sockets:
        bound.close()
    return found


@pytest.mark.parametrize("order", [1, -1])
def test_a_socket_that_was_passed_is_used_for_the_address_with_its_port(passed: list[int], order: int) -> None:
    public, admin = passed[::order]
    assert ports(listen(settings(f"0.0.0.0:{public}", f"127.0.0.1:{admin}"))) == [public, admin]
    assert "LISTEN_FDS" not in os.environ


def test_a_socket_for_no_address_of_the_configuration_is_refused(passed: list[int]) -> None:
    with pytest.raises(ServeError) as caught:
        listen(settings(f"127.0.0.1:{passed[0]}", None))
    assert str(caught.value) == (
        f"a socket for 127.0.0.1:{passed[1]} was passed, but neither listen nor admin has this port"
    )


def test_sockets_that_were_passed_to_another_process_are_left_alone(
    passed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    [port] = ports(listen(settings("127.0.0.1:0", None)))
    assert port not in passed


def test_two_processes_may_have_the_same_port_while_one_replaces_the_other() -> None:
    with bind("listen", Address("127.0.0.1", 0), reuse_port=True) as one:
        config = settings(f"127.0.0.1:{one.getsockname()[1]}", None)
        assert ports(listen(config, reuse_port=True)) == [one.getsockname()[1]]
        with pytest.raises(ServeError, match="Address already in use"):
            listen(config)


@pytest.mark.parametrize("host", ["host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_named(host: str) -> None:
    with pytest.raises(ServeError, match=rf"^admin: {host}:1: \w"):
        bind("admin", Address(host, 1))


def test_without_a_service_manager_the_sockets_are_new() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServeError):
        listen(settings(f"127.0.0.1:{taken.getsockname()[1]}", None))
