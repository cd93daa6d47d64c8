"""What a report costs: failures are remembered, nothing is started in vain, and who hangs up is dropped."""

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from proxy.gateway import child
from proxy.gateway.admin import report as live
from proxy.gateway.server.descriptors import ADMIN_CONNECTIONS
from tests.support.proxy import Proxy, watched
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.wire import Answer, Wire

ASK = b"GET /callers.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(admin: Proxy, path: str) -> Answer:
    return admin.call(path, None, method="GET")


class Commands:
    """Commands that run in the place of 'trigger-shim callers', and how often they did."""

    def __init__(self, folder: Path) -> None:
        self._pids, self.fifo = folder / "pids", folder / "fifo"
        os.mkfifo(self.fifo)
        self.script = "exit 1"

    def __call__(self, *_: str) -> list[str]:
        return ["sh", "-c", f"echo $$ >> {self._pids}; {self.script}"]

    @property
    def pids(self) -> list[int]:
        return list(map(int, self._pids.read_text().split())) if self._pids.exists() else []


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    made = Commands(tmp_path)
    monkeypatch.setattr(child, "command", made)
    yield made
    for pid in made.pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def admin(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(live, "SHORTEST_LIFE", 3600.0)
    with watched(upstream.url, tmp_path) as (_, pages):
        yield pages


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_failure_is_remembered_as_a_report_is(admin: Proxy, commands: Commands) -> None:
    commands.script = "printf 'no \\033[2J\\n' >&2; exit 1"
    answers = [get(admin, "/callers.json") for _ in range(3)]

    assert [answer.status for answer in answers] == [503] * 3
    assert {answer.body for answer in answers} == {b"no \\u001b[2J\n"}
    assert len(commands.pids) == 1
    assert answers[0].header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("log", ["-", "removed.jsonl"])
def test_no_process_is_started_where_there_is_no_file(
    upstream: Upstream, tmp_path: Path, commands: Commands, log: str
) -> None:
    path = log if log == "-" else str(tmp_path / "logs" / log)
    with watched(upstream.url, tmp_path, callers={"log": path}) as (_, admin):
        if log != "-":
            Path(path).unlink()
        answer = get(admin, "/callers")

    assert answer.status == 503
    assert b"name the files" in answer.body
    assert answer.body.count(b"\n") == 1
    assert commands.pids == []


@pytest.mark.parametrize("leave", [Wire.reset, Wire.close], ids=["reset", "close"])
def test_the_process_ends_when_the_last_reader_hangs_up(admin: Proxy, commands: Commands, leave: Any) -> None:
    commands.script = f"exec cat {commands.fifo}"
    first, second = Wire(admin.connect()), Wire(admin.connect())
    first.send(ASK)
    [pid] = until(lambda: commands.pids)
    second.send(ASK)
    # The proxy has seen what happened on a connection once it answers somebody who came later.
    assert get(admin, "/healthz").status == 200
    leave(first)
    assert get(admin, "/healthz").status == 200
    assert not is_gone(pid)
    leave(second)
    until(lambda: is_gone(pid))

    commands.script = "echo {}"
    assert get(admin, "/callers.json").body == b"{}\n"
    assert len(commands.pids) == 2


def test_a_report_is_made_where_no_priority_may_be_set(
    admin: Proxy, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    commands.script = f"read line < {commands.fifo}; ulimit -v"
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(get(admin, "/callers.json")))
    asking.start()
    [pid] = until(lambda: commands.pids)
    until(lambda: resource.prlimit(pid, resource.RLIMIT_AS)[0] == live.MEMORY)
    commands.fifo.write_bytes(b"\n")
    asking.join()

    assert (answers[0].status, answers[0].body) == (200, b"%d\n" % (live.MEMORY >> 10))


def test_who_waits_for_a_turn_is_dropped_without_a_process(admin: Proxy, commands: Commands) -> None:
    commands.script = f"exec cat {commands.fifo}"
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(get(admin, "/callers.json")))
    asking.start()
    until(lambda: commands.pids)
    waiting = Wire(admin.connect())
    waiting.send(ASK.replace(b".json", b""))
    waiting.reset()
    assert get(admin, "/healthz").status == 200
    commands.fifo.write_bytes(b"{}")
    asking.join()

    assert answers[0].body == b"{}"
    assert len(commands.pids) == 1


def test_who_ends_its_side_of_the_connection_gets_no_report(admin: Proxy, commands: Commands) -> None:
    commands.script = f"exec cat {commands.fifo}"
    with Wire(admin.connect()) as wire:
        wire.send(ASK)
        [pid] = until(lambda: commands.pids)
        wire.socket.shutdown(1)
        assert wire.answer().status == 503
    until(lambda: is_gone(pid))


def test_the_admin_listener_has_a_limit_of_connections_of_its_own(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        idle = [Wire(admin.connect()) for _ in range(ADMIN_CONNECTIONS)]
        for wire in idle:
            wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert wire.answer().status == 200
        waiting = Wire(admin.connect())
        waiting.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        said = until(lambda: capfd.readouterr().err)
        assert proxy.call().status == 200
        waiting.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            waiting.socket.recv(1)
        waiting.socket.settimeout(60)
        idle.pop().close()
        assert waiting.answer().status == 200
        for wire in (*idle, waiting):
            wire.close()

    assert said == (
        'trigger-shim: warning: connections waiting reason="too many connections" limit=32: '
        "the admin listener has no more; see who keeps them\n"
    )
