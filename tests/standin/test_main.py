import subprocess
import sys

from tests.standin.client import BUILD, RUNS, Client
from tests.support.processes import running
from tests.support.sockets import free_port


def test_it_can_be_served_alone_and_ends_with_a_signal() -> None:
    host, port = "127.0.0.1", free_port()
    command = [sys.executable, "-m", "proxy.standin", "--listen", f"{host}:{port}"]
    with running(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        assert f"http://{host}:{port}" in process.stdout.readline()
        assert Client(host, port)("POST", RUNS, BUILD)[0] == 200
        process.terminate()
        assert process.wait(60) == 0
