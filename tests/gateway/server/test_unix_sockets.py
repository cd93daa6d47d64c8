import os
import socket
import stat
from pathlib import Path

import pytest

from proxy.gateway.server.unix_sockets import SocketFile, bind
from tests.support.wire import Wire


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


def killed(path: Path) -> None:
    """Leave what a process leaves that had a socket, and was killed."""
    bind(str(path), 1).close()
    assert path.is_socket()


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(path)) == 0


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_owner_and_the_group_may_connect(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with bind(str(path), 1):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        os.umask(before)


def test_what_a_killed_process_has_left_is_removed(path: Path) -> None:
    killed(path)
    with bind(str(path), 1):
        assert connects(path)


def test_a_socket_on_which_somebody_listens_is_left_alone(path: Path) -> None:
    with bind(str(path), 1) as first:
        with pytest.raises(OSError, match="Address already in use"):
            bind(str(path), 1)
        first.accept()[0].close()  # it was asked
        with Wire(socket.socket(socket.AF_UNIX)) as caller:
            caller.socket.connect(str(path))
            first.accept()[0].close()


def test_not_even_a_full_queue_makes_it_look_abandoned(path: Path) -> None:
    with bind(str(path), 0) as first:
        waiting = socket.socket(socket.AF_UNIX)
        with waiting:
            waiting.connect(str(path))
            with pytest.raises(OSError, match="Address already in use"):
                bind(str(path), 1)
            first.accept()[0].close()
        assert connects(path)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(path: Path, kind: str) -> None:
    target = path.with_name("target")
    killed(target)
    if kind == "link":
        path.symlink_to(target)
    else:
        path.touch() if kind == "file" else path.mkdir()
    with pytest.raises(OSError, match="is not a socket; remove it, or choose another path"):
        bind(str(path), 1)
    assert path.exists()
    assert target.is_socket()


def test_a_folder_that_does_not_exist_is_an_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bind(str(path / "socket"), 1)


def test_its_file_is_removed_once(path: Path) -> None:
    with bind(str(path), 1) as bound:
        file = SocketFile.of(bound)
    assert file is not None
    file.remove()
    assert not path.exists()
    file.remove()


def test_the_file_of_its_successor_stays(path: Path) -> None:
    with bind(str(path), 1) as bound:
        file = SocketFile.of(bound)
    assert file is not None
    with bind(str(path), 1):
        file.remove()
        assert connects(path)


def test_other_sockets_have_no_file() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        assert SocketFile.of(bound) is None
