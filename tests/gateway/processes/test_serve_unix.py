"""A proxy that listens on a Unix socket, as a process of its own."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import events
from tests.support.proxy import Proxy
from tests.support.scrape import Scrape
from tests.support.serving import command, ended, forget_journals
from tests.support.upstream import Upstream
from tests.support.waiting import PATIENCE, until

Started = tuple[Proxy, "subprocess.Popen[bytes]"]


@contextlib.contextmanager
def started(upstream: Upstream, folder: Path, **sections: Any) -> Iterator[Started]:
    path = folder / "socket"
    arguments = command(upstream.url, folder, listen=f"unix:{path}", **sections)
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE)
    with process:
        try:
            until(lambda: path.is_socket() or process.poll())
            yield Proxy(str(path), 0, folder / "callers.jsonl"), process
        finally:
            process.kill()


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_there_and_removes_the_socket_at_the_end(upstream: Upstream, tmp_path: Path, workers: int) -> None:
    with started(upstream, tmp_path, workers=workers, admin=f"unix:{tmp_path}/admin") as (proxy, process):
        until(lambda: answers(proxy))
        assert proxy.call(headers={"X-Forwarded-For": "198.51.100.7"}).status == 200
        [record] = proxy.records()
        assert record["client_ip"] == "198.51.100.7"
        calls = Scrape(Proxy(f"{tmp_path}/admin", 0, proxy.log)).calls()
        assert calls["trigger", "forwarded", "2xx"] == 1
        process.terminate()
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0
    assert events(said) == []
    listening = json.loads(said.splitlines()[0])
    assert listening["url"] == f"http://unix:{tmp_path}/socket"
    assert listening["admin"] == f"http://unix:{tmp_path}/admin"
    assert not {path for path in tmp_path.iterdir() if path.is_socket()}


def test_after_a_kill_the_next_one_takes_the_socket_over(upstream: Upstream, tmp_path: Path) -> None:
    with started(upstream, tmp_path) as (proxy, process):
        until(lambda: answers(proxy))
        process.kill()
        process.wait()
    forget_journals(str(proxy.log))
    assert Path(proxy.host).is_socket()
    with started(upstream, tmp_path) as (proxy, _):
        until(lambda: answers(proxy))
        assert proxy.call().status == 200


def test_a_second_one_leaves_the_first_alone(upstream: Upstream, tmp_path: Path) -> None:
    with started(upstream, tmp_path) as (proxy, process):
        until(lambda: answers(proxy))
        second = ended(command(upstream.url, tmp_path, listen=f"unix:{proxy.host}"))
        [failed] = events(second.stderr)
        assert (second.returncode, failed["message"]) == (1, f"listen: unix:{proxy.host}: Address already in use")
        assert proxy.call().status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def answers(proxy: Proxy) -> bool:
    with contextlib.suppress(OSError):
        return proxy.call("/-/readyz", None, None, "GET").status == 200
    return False
