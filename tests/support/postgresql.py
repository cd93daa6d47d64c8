"""A real PostgreSQL server, for the ledgers of fleets."""

import atexit
import contextlib
import functools
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.support.processes import running
from tests.support.programs import lack, packages
from tests.support.sockets import free_port
from tests.support.waiting import PATIENCE, until

_ACCOUNT = "postgres"
"""Whoever runs the tests as root: PostgreSQL refuses to be root."""

_MEMORY = "/dev/shm"  # noqa: S108
_ROOM = 1 << 30
"""Bytes that must be free there: a server takes some 60 MiB."""

_SETTINGS = {"fsync": "off", "listen_addresses": "127.0.0.1", "max_connections": "60", "log_min_messages": "panic"}


class Postgresql:
    """A server that tests start and stop, with a superuser named ``lead`` who needs no password on loopback.

    Attributes:
        folder: where it keeps its data.
        port: where it listens when it is started the next time.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self._numbers = itertools.count()

    def address(self, database: str = "postgres") -> str:
        return f"postgresql://lead@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of a new, empty database."""
        name = f"ledger{next(self._numbers)}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def new_schema(self) -> str:
        """The address of a new, empty schema for tables, which is made much faster than a database."""
        name = f"ledger{next(self._numbers)}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.address()}?options=-csearch_path%3D{name}"

    def own(self, folder: Path) -> None:
        """Let the server write to a folder."""
        if os.geteuid() == 0:
            shutil.chown(folder, _ACCOUNT)

    def initialize(self) -> None:
        # Copying takes a fifth of the time of creating.
        subprocess.run(["cp", "-a", str(_template()), str(self.folder)], check=True)

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        options = [option for name, value in _SETTINGS.items() for option in ("-c", f"{name}={value}")]
        sockets = ["-c", f"unix_socket_directories={self.folder}", "-p", str(self.port)]
        command = [_program("postgres"), "-D", str(self.folder), *options, *sockets]
        with running(subprocess.Popen(command, **_account())) as process:  # type: ignore[call-overload]
            try:
                until(self._answers)
                yield
            finally:
                process.send_signal(signal.SIGINT)  # SIGTERM would wait for all connections to end
                process.wait(PATIENCE)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.address()):
            return True
        return False


@contextlib.contextmanager
def initialized() -> Iterator[Postgresql]:
    """A server that can be started."""
    _program("postgres")
    folder = _new_folder()
    try:
        server = Postgresql(folder / "data")
        server.initialize()
        yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def postgresql() -> Iterator[Postgresql]:
    """A running server."""
    with initialized() as server, server.started():
        yield server


@functools.cache
def _template() -> Path:
    """A data folder that was created once, for all servers of this process."""
    folder = _new_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [_program("initdb"), "-D", str(folder / "data"), "-U", "lead", "--auth=trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **_account())  # type: ignore[call-overload]
    return folder / "data"


def _new_folder() -> Path:
    """A folder that the server may write to: pytest's own cannot be entered by other accounts.

    It is in memory if there is room, because each table is several files, which take long to create on a disk.
    """
    has_room = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    folder = Path(tempfile.mkdtemp(prefix="ledger-", dir=_MEMORY if has_room else None))
    if os.geteuid() == 0:
        shutil.chown(folder, _ACCOUNT)
    return folder


def _account() -> dict[str, str]:
    return {"user": _ACCOUNT, "cwd": "/"} if os.geteuid() == 0 else {}


def _program(name: str) -> str:
    # Debian puts them outside of PATH, into a folder for each version.
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found:
        lack("postgres is not installed", f"apt-get install {packages()['/usr/lib/postgresql']}")
    return str(found[-1])
