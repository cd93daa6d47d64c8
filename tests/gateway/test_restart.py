"""An upstream that is killed under load, and comes back on the same port."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.gateway.faults import RESTARTED, told
from tests.gateway.worlds import CALLS
from tests.harness import Answer, Proxy, proxy_for, until

CALLERS = 24
ROOT = Path(__file__).parents[2]


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
        """Have it answer no more."""
        self._tell()

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
        command = [sys.executable, "-m", "tests.gateway.ledger", str(self._ledger), str(self._port)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)


class Caller:
    """Calls again and again, each time under another id.

    Attributes:
        kind: of its calls.
        answers: to each, by its id; None while it waits.
    """

    def __init__(self, number: int) -> None:
        self.kind = "read" if number % 4 == 0 else "trigger"
        self.answers: dict[str, Answer | None] = {}
        self._number = number

    def run(self, proxy: Proxy, over: threading.Event) -> None:
        method, path = CALLS[self.kind]
        while not over.is_set():
            request_id = f"{self._number}-{len(self.answers)}"
            self.answers[request_id] = None
            body = b"{}" if method == "POST" else None
            self.answers[request_id] = proxy.call(path, body, {"X-Request-ID": request_id}, method)


class Load:
    """Some tens of callers that are all calling."""

    def __init__(self, proxy: Proxy) -> None:
        self.callers = [Caller(number) for number in range(CALLERS)]
        self._proxy = proxy

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()
        with ThreadPoolExecutor(CALLERS) as threads:
            running = [threads.submit(caller.run, self._proxy, over) for caller in self.callers]
            try:
                yield
            finally:
                over.set()
        for caller in running:
            caller.result()

    def until_each_gets(self, status: int) -> None:
        """Wait until each has got an answer with a status to a call that begins from now on."""
        begun = [len(caller.answers) for caller in self.callers]

        def has_got(caller: Caller, calls: int) -> bool:
            return any(answer and answer.status == status for answer in list(caller.answers.values())[calls:])

        until(lambda: all(map(has_got, self.callers, begun)))

    def until_all_are_at(self, service: Service) -> None:
        """Wait until the service has received what each waits for."""

        def waiting() -> set[str]:
            return {request_id for caller in self.callers for request_id in list(caller.answers)[-1:]}

        until(lambda: waiting() <= set(service.received()))


def test_every_call_has_one_record_and_none_is_received_twice_or_after_a_no(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        service = Service(tmp_path, stack)
        proxy = stack.enter_context(proxy_for(service.url, tmp_path))
        load = Load(proxy)
        service.start()
        with load.running():
            for last in (False, False, True):
                load.until_each_gets(200)
                if last:  # whatever the moment of the others was, in this one each call is under way
                    service.hold()
                    load.until_all_are_at(service)
                service.kill()
                load.until_each_gets(502)
                service.start()
            load.until_each_gets(200)

    received = Counter(service.received())
    answers = {request_id: answer for caller in load.callers for request_id, answer in caller.answers.items()}
    reads = {request_id for caller in load.callers if caller.kind == "read" for request_id in caller.answers}
    records = proxy.records()
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
