"""An upstream that is killed under load, and comes back on the same port."""

import contextlib
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.support.load import Load
from tests.support.paths import ROOT
from tests.support.proxy import proxy_for
from tests.system.faults import RESTARTED, told
from tests.system.worlds import CALLS

CALLERS = [[CALLS[kind]] for kind in ["read", *["trigger"] * 3] * 3]


class Service:
    """The process, and what it has received in all of its lives."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._ledger = folder / "ledger"
        self._ledger.touch()
        # Bound and not listening, so that nobody else gets the port while the service is down.
        bound = stack.enter_context(socket.socket())
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        self._port = bound.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._processes = [self._spawned()]
        stack.callback(self.end)

    def received(self) -> list[str]:
        return self._ledger.read_text().split()

    def start(self) -> None:
        self._processes.append(self._spawned())  # which is ready the sooner when its turn comes
        self._tell()

    def hold(self) -> None:
        """Have it answer no more, and wait until each caller waits for it."""
        self._tell()
        waiting = self._processes[0].stdout
        assert waiting is not None
        for _ in CALLERS:
            assert waiting.readline()

    def kill(self) -> None:
        """Kill the process that serves."""
        process = self._processes.pop(0)
        process.kill()
        process.communicate()

    def end(self) -> None:
        while self._processes:
            self.kill()

    def _tell(self) -> None:
        commands = self._processes[0].stdin
        assert commands is not None
        commands.write(b"\n")
        commands.flush()

    def _spawned(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.system.ledger", str(self._ledger), str(self._port)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)


def test_every_call_has_one_record_and_none_is_received_twice_or_after_a_no(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        service = Service(tmp_path, stack)
        proxy = stack.enter_context(proxy_for(service.url, tmp_path))
        load = Load(proxy, CALLERS, pause=0.02)
        service.start()
        with load.running():
            for last in (False, False, True):
                load.until_each_gets(200)
                if last:  # whatever the moment of the others was, in this one each call is under way
                    service.hold()
                service.kill()
                load.until_each_gets(502)
                service.start()
            load.until_each_gets(200)

    received = Counter(service.received())
    answers, reads, records = load.answers, load.ids(CALLS["read"]), proxy.records()
    assert Counter(record["request_id"] for record in records) == dict.fromkeys(answers, 1)
    assert received.keys() <= answers.keys()

    found = {}
    for record in records:
        request_id = record["request_id"]
        status, code, started, _ = told(answers[request_id])
        assert (record["status"], record.get("error_code")) == (status, code)
        if request_id in reads:  # may be sent again where it met a connection that was being closed
            assert received[request_id] <= 2
            continue
        assert received[request_id] <= 1
        assert received[request_id] == {None: 1, "no": 0}.get(started, received[request_id])
        found[status, code, started, record["outcome"]] = request_id
    assert found.keys() == {(seen.status, seen.code, seen.started, seen.outcome) for seen in RESTARTED.seen}
