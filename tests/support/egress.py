"""Real egress proxies."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import running
from tests.support.programs import program
from tests.support.sockets import free_port
from tests.support.waiting import until

USER, PASSWORD = "egress-user", "egress-password"
_HASHED = "$apr1$egress$BdpCeKYZIEfh6CDQ2SW/E."
"""What ``openssl passwd -apr1 -salt egress`` makes of the password."""

PROGRAMS = ["tinyproxy", "squid"]


def _tinyproxy(port: int, _folder: Path, *, allowed: int | None, has_users: bool) -> tuple[list[str], str]:
    lines = [f"Port {port}", "Listen 127.0.0.1", "LogLevel Critical"]
    lines += [f"BasicAuth {USER} {PASSWORD}"] if has_users else []
    lines += [f"ConnectPort {allowed}"] if allowed is not None else []
    return [program("tinyproxy"), "-d", "-c"], "\n".join(lines)


def _squid(port: int, folder: Path, *, allowed: int | None, has_users: bool) -> tuple[list[str], str]:
    (folder / "users").write_text(f"{USER}:{_HASHED}\n")
    helper = program("/usr/lib/squid/basic_ncsa_auth")
    return (
        [program("squid"), "-N", "-f"],
        f"""
        http_port 127.0.0.1:{port}
        pid_filename none
        cache_log /dev/null
        access_log none
        cache deny all
        netdb_filename none
        pinger_enable off
        shutdown_lifetime 0 seconds
        coredump_dir {folder}
        auth_param basic program {helper} {folder}/users
        acl known proxy_auth REQUIRED
        acl allowed port {allowed if allowed is not None else "1-65535"}
        http_access deny !allowed
        http_access allow {"known" if has_users else "all"}
        http_access deny all
        """,
    )


_SETTINGS = {"tinyproxy": _tinyproxy, "squid": _squid}


@contextlib.contextmanager
def egress(name: str, *, allowed: int | None = None, has_users: bool = False) -> Iterator[str]:
    """Run an egress proxy on the loopback interface. If it is not installed, the test is skipped.

    Args:
        name: of the program.
        allowed: the only port to which it makes connections.
        has_users: whether it wants `USER` and `PASSWORD`.

    Returns:
        Its URL.
    """
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)  # root's squid becomes another user
        port, file = free_port(), folder / "settings"
        command, settings = _SETTINGS[name](port, folder, allowed=allowed, has_users=has_users)
        file.write_text(settings + "\n")
        silent = subprocess.DEVNULL
        with running(subprocess.Popen([*command, str(file)], stdout=silent, stderr=silent)) as process:
            until(lambda: _listens(port) or process.poll() is not None)
            assert process.poll() is None, f"{name} does not start"
            yield f"http://127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
