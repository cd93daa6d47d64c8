import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy import config
from proxy.config import Config
from proxy.config.values import Address, UnixPath
from proxy.gateway.server import listeners
from proxy.gateway.server.listeners import ServeError, address, bind, listen, loopback


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The ports of two sockets that the service manager passes."""
    with loopback() as one, loopback() as other:
        ports = [bound.getsockname()[1] for bound in (one, other)]
        first = fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 500)  # where no other thread opens anything
        second = fcntl.fcntl(other, fcntl.F_DUPFD_CLOEXEC, first + 1)
    monkeypatch.setattr(listeners, "_FIRST_PASSED", first)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    yield ports
    for descriptor in (first, second):
        with contextlib.suppress(OSError):  # the test has closed it
            os.close(descriptor)


def settings(listen: str | None, admin: str | None) -> Config:
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


@pytest.fixture
def passed_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The path of a Unix socket that the service manager passes."""
    path = str(tmp_path / "socket")
    with bind("listen", UnixPath(path)) as kept:
        monkeypatch.setattr(listeners, "_FIRST_PASSED", os.dup(kept.fileno()))
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        yield path


@pytest.mark.parametrize("key", ["listen", "admin"])
def test_a_unix_socket_that_was_passed_is_used_for_its_path(passed_path: str, key: str) -> None:
    where = {"listen": "127.0.0.1:0", "admin": None, key: f"unix:{passed_path}"}
    opened = listen(settings(**where))
    assert getattr(opened, "public" if key == "listen" else "admin").getsockname() == passed_path
    ports(opened)
    opened.remove_files()
    assert Path(passed_path).is_socket()  # it is the service manager's


def test_a_unix_socket_for_no_path_of_the_configuration_is_refused(passed_path: str) -> None:
    other = Path(passed_path).with_name("other")
    with pytest.raises(ServeError) as caught:
        listen(settings(f"unix:{other}", None))
    said = f"a socket for unix:{passed_path} was passed, but neither listen nor admin has this path"
    assert (str(caught.value), other.exists()) == (said, False)


def test_the_files_of_unix_sockets_are_removed_at_the_end(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    opened = listen(settings(f"unix:{one}", f"unix:{two}"))
    assert [address(bound) for bound in opened.sockets] == [UnixPath(str(one)), UnixPath(str(two))]
    ports(opened)
    assert (one.is_socket(), two.is_socket()) == (True, True)
    opened.remove_files()
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_left_if_the_other_address_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"^admin: "):
        listen(settings(f"unix:{tmp_path}/socket", "192.0.2.1:1"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_named(host: str) -> None:
    with pytest.raises(ServeError, match=rf"^admin: {host}:1: \w"):
        bind("admin", Address(host, 1))


def test_without_a_service_manager_the_sockets_are_new() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServeError):
        listen(settings(f"127.0.0.1:{taken.getsockname()[1]}", None))
