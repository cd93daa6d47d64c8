"""The command that a container's health check runs, against what can be found where the proxy should be."""

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli import main
from proxy.commands import health
from tests.commands.running import imported_by
from tests.support.certificates import certified
from tests.support.proxy import proxy_for, watched
from tests.support.serving import serving
from tests.support.sockets import free_port
from tests.support.upstream import Script, Upstream, closes, sends
from tests.support.waiting import PATIENCE, until

Ran = tuple[int, str]
Ask = Callable[..., Ran]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers has its time, however busy the machine is."""
    monkeypatch.setattr(health, "TIMEOUT", PATIENCE)


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """The exit status and what is said on standard error, where the configuration file holds this."""

    def ask(*arguments: str, **values: Any) -> Ran:
        file = tmp_path / "asked.yaml"
        file.write_text(yaml.safe_dump(values))
        status = main(["health", "--config", str(file), *arguments])
        out, said = capsys.readouterr()
        assert out == ""
        return status, said

    return ask


@contextlib.contextmanager
def found(script: Script) -> Iterator[str]:
    """The address of somebody who is not the proxy."""
    with Upstream(script).running() as somebody:
        yield somebody.url.removeprefix("http://")


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


def test_a_proxy_that_is_ready_is_asked_where_its_admin_pages_are(ask: Ask, upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        assert ask(listen="127.0.0.1:1", admin=f"127.0.0.1:{admin.port}") == (0, "")
    assert upstream.received == []


def test_one_without_admin_pages_is_asked_where_its_callers_come(ask: Ask, upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (proxy, _):
        assert ask(listen=f"127.0.0.1:{proxy.port}", admin=None) == (0, "")
        assert ask("--listen", f"127.0.0.1:{proxy.port}", listen="127.0.0.1:1", admin=None) == (0, "")
    assert upstream.received == []


@pytest.mark.parametrize("key", ["listen", "admin"])
def test_it_is_asked_on_a_unix_socket(ask: Ask, upstream: Upstream, tmp_path: Path, key: str) -> None:
    where = f"unix:{tmp_path}/socket"
    keys = {"listen": "127.0.0.1:1", "admin": None, key: where}
    sections: dict[str, Any] = {key: where}
    with watched(upstream.url, tmp_path, **sections):
        assert ask(**keys) == (0, "")
    page = {"listen": "/-/readyz", "admin": "/readyz"}[key]
    refused = f"trigger-shim: error: http://{where}:{page}: Connection refused\n"  # its file has been left
    assert ask(**keys) == (1, refused)


@pytest.mark.parametrize("secured", [False, True])
def test_where_the_proxy_protocol_is_expected_it_is_spoken(
    ask: Ask, upstream: Upstream, tmp_path: Path, *, secured: bool
) -> None:
    more: dict[str, Any] = {"tls": certified(tmp_path)[0]} if secured else {}
    with proxy_for(upstream.url, tmp_path, callers={"proxy_protocol": True}, **more) as proxy:
        listen = f"127.0.0.1:{proxy.port}"
        assert ask(listen=listen, admin=None, callers={"proxy_protocol": True}, **more) == (0, "")
        assert ask(listen=listen, admin=None, **more)[0] == 1


def test_the_environment_overrides_the_file_here_too(
    ask: Ask, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        monkeypatch.setenv("TRIGGER_SHIM__ADMIN", f"127.0.0.1:{admin.port}")
        assert ask(admin="127.0.0.1:1") == (0, "")


def test_nothing_slow_is_imported_to_ask(upstream: Upstream, tmp_path: Path) -> None:
    file = tmp_path / "asked.yaml"
    with watched(upstream.url, tmp_path) as (_, admin):
        file.write_text(yaml.safe_dump({"admin": f"127.0.0.1:{admin.port}"}))
        imported = imported_by("health", "--config", str(file))
    assert "proxy.config" in imported
    assert not {"asyncio", "httpx", "jinja2", "msgspec", "rich", "ssl", "starlette", "structlog", "uvicorn"} & imported


@pytest.mark.parametrize(("wildcard", "loopback"), [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")])
def test_one_that_listens_everywhere_is_asked_on_the_loopback_address(ask: Ask, wildcard: str, loopback: str) -> None:
    family = socket.AF_INET6 if "[" in wildcard else socket.AF_INET
    with socket.create_server((loopback.strip("[]"), 0), family=family) as listener:
        port = listener.getsockname()[1]
        with Upstream(sends(b"HTTP/1.1 200 OK\r\n\r\n")).running(listener) as somebody:
            assert ask(admin=f"{wildcard}:{port}") == (0, "")
    assert [(received.method, received.target) for received in somebody.received] == [("GET", "/readyz")]
    refused = f"trigger-shim: error: http://{loopback}:{port}/readyz: Connection refused\n"
    assert ask(admin=f"{wildcard}:{port}") == (1, refused)


@pytest.mark.parametrize("named", [["admin"], []])
def test_over_tls_the_name_in_the_certificate_does_not_matter(
    ask: Ask, upstream: Upstream, tmp_path: Path, named: list[str]
) -> None:
    tls, _ = certified(tmp_path)  # of an authority that nobody trusts
    with serving(upstream.url, tmp_path, tls=tls, **dict.fromkeys(named, "127.0.0.1:0")) as running:
        until(lambda: ask(listen=f"localhost:{running.proxy.port}", admin=None, tls=tls)[0] == 0)
        admin = f"localhost:{running.admin.port}" if named else None
        assert ask(listen=f"localhost:{running.proxy.port}", admin=admin, tls=tls) == (0, "")
        status, said = ask(listen=f"localhost:{running.proxy.port}", admin=None)
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
    assert status == 1
    assert said.count("\n") == 1


def test_one_that_is_to_stop_is_not_ready_any_more(ask: Ask, upstream: Upstream, tmp_path: Path) -> None:
    limits = {"drain_delay": 300}
    with serving(upstream.url, tmp_path, admin="127.0.0.1:0", limits=limits) as running:
        admin = f"127.0.0.1:{running.admin.port}"
        until(lambda: ask(admin=admin) == (0, ""))
        running.signal(signal.SIGTERM)
        until(lambda: ask(admin=admin)[0] == 1)
        assert ask(admin=admin) == (1, f"trigger-shim: error: http://{admin}/readyz: not ready\n")
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0


def test_where_nobody_listens_that_is_said(ask: Ask) -> None:
    address = free_address()
    assert ask(admin=address) == (1, f"trigger-shim: error: http://{address}/readyz: Connection refused\n")
    assert ask(admin=None, listen=address) == (
        1,
        f"trigger-shim: error: http://{address}/-/readyz: Connection refused\n",
    )


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (sends(b"HTTP/1.1 404 Not Found\r\n\r\n"), "answered 404, which trigger-shim never does"),
        (sends(b"HTTP/1.1 2000 OK\r\n\r\n"), "the answer is not HTTP"),
        (sends(b"220 mail.example ESMTP\r\n"), "the answer is not HTTP"),
        (closes(b"HTTP/1.1 20"), "the answer is not HTTP"),
        (closes(), "the connection was closed without an answer"),
        (sends(b"\x1b[31m" * 2000), "the answer is not HTTP"),
    ],
)
def test_somebody_else_is_not_taken_for_the_proxy(ask: Ask, script: Script, why: str) -> None:
    with found(script) as address:
        assert ask(admin=address) == (1, f"trigger-shim: error: http://{address}/readyz: {why}\n")


def drips(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"H")
        time.sleep(0.01)


def test_an_answer_that_only_drips_is_not_waited_for(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.2)
    with found(drips) as address:
        assert ask(admin=address) == (1, f"trigger-shim: error: http://{address}/readyz: no answer within 0.2 s\n")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_somebody_who_accepts_and_never_answers_is_not_waited_for(
    ask: Ask, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.2)
    tls = certified(tmp_path)[0] if scheme == "https" else None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        admin = "{}:{}".format(*silent.getsockname())
        assert ask(admin=admin, tls=tls) == (
            1,
            f"trigger-shim: error: {scheme}://{admin}/readyz: no answer within 0.2 s\n",
        )


@pytest.mark.parametrize(
    "values", [{"admin": "nowhere"}, {"admin": "127.0.0.1:0"}, {"admin": None, "listen": "127.0.0.1:0"}]
)
def test_a_wrong_configuration_is_told_from_a_proxy_that_is_not_ready(ask: Ask, values: dict[str, Any]) -> None:
    status, said = ask(**values)
    assert status == 2
    assert said.startswith("trigger-shim: error: ")
    assert said.count("\n") == 1
