import socket
from pathlib import Path
from typing import Any

import psycopg
import pytest

from proxy import config
from proxy.config import Config
from proxy.gateway.processes import trial
from proxy.gateway.server import unix_sockets
from tests.support.certificates import CA, certified
from tests.support.postgresql import Postgresql
from tests.support.users import open_to_all, unprivileged


def settings(folder: Path, **values: Any) -> Config:
    known = {"listen": "127.0.0.1:0", "admin": None, "callers": {"log": str(folder / "callers.jsonl")}}
    return config.load(None, {}, {**known, **values})


def found(checked: Config) -> tuple[list[str], list[str]]:
    return list(trial.problems(checked)), list(trial.warnings(checked))


def test_a_configuration_that_can_be_used_has_none(tmp_path: Path) -> None:
    tls, _ = certified(tmp_path)
    assert found(settings(tmp_path, tls=tls)) == ([], [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["certificate.pem", "key.pem"]  # nothing was created


def test_a_certificate_that_does_not_fit_its_key_is_a_problem(tmp_path: Path) -> None:
    tls, _ = certified(tmp_path)
    CA.issue_cert("h").private_key_pem.write_to_path(tls["key"])
    [[problem], _] = found(settings(tmp_path, tls=tls))
    assert problem.startswith("tls: the certificate and the key cannot be used")


def test_the_files_of_the_way_to_the_service_are_tried(tmp_path: Path) -> None:
    tls, _ = certified(tmp_path)
    authorities, credentials = tmp_path / "ca.pem", tmp_path / "credentials"
    authorities.write_bytes(CA.cert_pem.bytes())
    credentials.write_text("user:password")
    way = {"proxy": "http://h:1", "proxy_credentials_file": str(credentials), "authorities": str(authorities), **tls}
    assert found(settings(tmp_path, upstream=way)) == ([], [])

    credentials.write_text("password")
    [[problem], _] = found(settings(tmp_path, upstream=way))
    assert problem.startswith("upstream.proxy_credentials_file: ")
    Path(tls["key"]).write_text("nothing")
    [[problem], _] = found(settings(tmp_path, upstream=way))
    assert problem.startswith("upstream: the certificate and the key cannot be used: ")
    authorities.write_text("nothing")
    [[problem], _] = found(settings(tmp_path, upstream=way))
    assert problem.startswith("upstream.authorities: ")


@pytest.mark.parametrize("key", ["listen", "admin"])
def test_an_address_of_another_machine_is_a_problem(tmp_path: Path, key: str) -> None:
    [[problem], _] = found(settings(tmp_path, **{key: "192.0.2.1:8080"}))
    assert problem.startswith(f"{key}: 192.0.2.1:8080: ")


def test_a_port_that_is_taken_is_only_a_warning(tmp_path: Path) -> None:
    """It may be this proxy that has it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        problems, warnings = found(settings(tmp_path, listen=where))
    assert problems == []
    assert warnings == [f"listen: {where}: Address already in use, perhaps by this proxy"]


def test_a_unix_socket_is_tried_and_nothing_is_left(tmp_path: Path) -> None:
    assert found(settings(tmp_path, listen=f"unix:{tmp_path}/socket")) == ([], [])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_unix_socket_may_appear_with_the_service(tmp_path: Path) -> None:
    where = f"unix:{tmp_path}/nowhere/socket"
    problems, warnings = found(settings(tmp_path, listen=where))
    assert (problems, warnings) == ([], [f"listen: {where}: No such file or directory"])


def test_a_unix_socket_that_is_taken_is_only_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with unix_sockets.bind(str(path), 1):
        problems, warnings = found(settings(tmp_path, listen=f"unix:{path}"))
    assert (problems, warnings) == ([], [f"listen: unix:{path}: Address already in use, perhaps by this proxy"])
    assert path.is_socket()


def test_a_file_in_the_place_of_a_unix_socket_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    [[problem], _] = found(settings(tmp_path, listen=f"unix:{tmp_path}/file"))
    assert problem == f"listen: unix:{tmp_path}/file: is not a socket; remove it, or choose another path"


@pytest.mark.parametrize("key", ["log", "ledger"])
def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, key: str) -> None:
    path = "/proc/self/nowhere/callers.jsonl"
    values: dict[str, Any] = {"ledger": path} if key == "ledger" else {"callers": {"log": path}, "ledger": None}
    problems, [warning] = found(settings(tmp_path, **values))
    assert problems == []
    assert warning.startswith(f"{'ledger' if key == 'ledger' else 'callers.log'}: this user cannot write /proc/self")


def test_a_file_where_a_folder_belongs_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    _, [warning] = found(settings(tmp_path, callers={"log": str(tmp_path / "file" / "log")}, ledger=None))
    assert warning == f"callers.log: this user cannot write {tmp_path / 'file'}"


def test_a_ledger_that_cannot_be_reached_is_a_warning(tmp_path: Path) -> None:
    _, [warning] = found(settings(tmp_path, ledger="postgresql://nobody@127.0.0.1:1/none"))
    assert warning.startswith("ledger: PostgreSQL: ")


def test_a_ledger_that_a_start_will_upgrade_is_no_warning_and_a_later_one_is(
    tmp_path: Path, server: Postgresql
) -> None:
    ledger = server.new_database()
    assert found(settings(tmp_path, ledger=ledger)) == ([], [])
    with psycopg.connect(ledger) as connection:
        connection.execute("CREATE TABLE versions (version INTEGER PRIMARY KEY, oldest INTEGER NOT NULL DEFAULT 1)")
        connection.execute("INSERT INTO versions VALUES (1)")
    assert found(settings(tmp_path, ledger=ledger)) == ([], [])

    with psycopg.connect(ledger) as connection:
        connection.execute("INSERT INTO versions VALUES (99, 99)")
    _, [warning] = found(settings(tmp_path, ledger=ledger))
    assert warning.startswith("ledger: the ledger has version 99, for proxies that know version 99 or later")


def test_secrets_that_only_the_proxys_user_can_read_are_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all(tmp_path, monkeypatch)
    tls, _ = certified(Path())
    Path("key").write_text("made-up-key-of-the-test")
    Path("calls").touch()
    Path("calls").chmod(0o666)
    checked = settings(Path(), tls=tls, callers={"log": "calls", "fingerprint_key_file": "key"}, ledger=None)
    for file in ("key", tls["key"]):
        Path(file).chmod(0)
    with unprivileged():
        problems, warnings = found(checked)
    assert problems == []
    assert warnings == [
        "callers.fingerprint_key_file: this user cannot read key",
        f"tls.key: this user cannot read {tls['key']}",
    ]


def test_a_port_that_this_user_may_not_have_is_only_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd may have bound it for the proxy."""
    open_to_all(tmp_path, monkeypatch)
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 81:
        pytest.skip("here everybody may have every port")
    Path("callers.jsonl").touch()
    Path("callers.jsonl").chmod(0o666)
    with unprivileged():
        problems, warnings = found(settings(Path(), listen="127.0.0.1:81", ledger=None))
    assert problems == []
    assert warnings == ["listen: 127.0.0.1:81: Permission denied, perhaps only to this user"]
