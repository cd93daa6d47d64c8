import signal
import subprocess

import pytest

from tests.commands.running import COMMAND, Run, environment
from tests.standin.client import BUILD, RUNS, Client
from tests.support.processes import running
from tests.support.sockets import free_port


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_with_a_signal(number: signal.Signals) -> None:
    host, port = "127.0.0.1", free_port()
    command = [COMMAND, "standin", "--listen", f"{host}:{port}"]
    with running(subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"stand-in for the service on http://{host}:{port}\n"
        assert Client(host, port)("POST", RUNS, BUILD)[0] == 200
        process.send_signal(number)
        assert process.wait(60) == 0


def test_port_0_is_a_free_one() -> None:
    command = [COMMAND, "standin", "--listen", "127.0.0.1:0"]
    with running(subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        assert Client("127.0.0.1", port)("POST", RUNS, BUILD)[0] == 200


def test_a_wrong_address_is_refused(run: Run) -> None:
    ran = run("standin", "--listen", "9000")
    assert ran.status == 2
    assert "such as 127.0.0.1:8080" in ran.err


def test_an_address_of_another_machine_is_refused(run: Run) -> None:
    ran = run("standin", "--listen", "192.0.2.1:9000")
    assert ran.status == 1
    assert "--listen: 192.0.2.1:9000: Cannot assign requested address" in ran.said
