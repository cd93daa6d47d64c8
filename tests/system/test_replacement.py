"""One process takes the place of another, and no connection is refused."""

import contextlib
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import running
from tests.support.proxy import Proxy
from tests.support.serving import command
from tests.support.sockets import links
from tests.support.upstream import Upstream, held
from tests.support.waiting import until

PASSED = ["bash", "-c", 'exec 3<&"$1"; eval "exec $1<&-"; shift; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "bash"]

Start = Callable[[], "contextlib.AbstractContextManager[subprocess.Popen[bytes]]"]


@pytest.fixture
def passes(upstream: Upstream, tmp_path: Path) -> Iterator[tuple[Proxy, Start]]:
    """A service manager keeps the socket."""
    with socket.create_server(("127.0.0.1", 0)) as kept:
        port, number = kept.getsockname()[1], kept.fileno()
        serves = command(upstream.url, tmp_path, listen=f"127.0.0.1:{port}")

        def start() -> "contextlib.AbstractContextManager[subprocess.Popen[bytes]]":
            return running(subprocess.Popen([*PASSED, str(number), *serves], pass_fds=(number,)))

        yield Proxy("127.0.0.1", port, tmp_path / "callers.jsonl"), start


def test_callers_wait_while_a_service_manager_restarts_the_proxy(
    upstream: Upstream, passes: tuple[Proxy, Start]
) -> None:
    proxy, start = passes
    release = threading.Event()
    answers: list[int] = []
    with start() as one:
        assert proxy.call().status == 200
        upstream.arrived.clear()
        upstream.script = held(release)
        slow = threading.Thread(target=lambda: answers.append(proxy.call().status))
        slow.start()
        assert upstream.arrived.wait(20)
        one.send_signal(signal.SIGTERM)
        until(lambda: not _accepts(one))
        waiting = threading.Thread(target=lambda: answers.append(proxy.call().status))
        waiting.start()
        release.set()
        slow.join()
        assert one.wait(60) == 0
    with start():
        waiting.join()
    assert answers == [200, 200]
    assert [record["outcome"] for record in proxy.records()] == ["forwarded"] * 3


def _accepts(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process still has a listening socket."""
    found = {link.removeprefix("socket:[").removesuffix("]") for link in links(process.pid)}
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(row[3] == "0A" and row[9] in found for row in rows)
