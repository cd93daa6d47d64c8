"""nginx in front of two proxies, as the compose file has it."""

import contextlib
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy import config
from proxy.gateway.server.protocol import KEEPALIVE
from tests.deploy.engine import FOLDER
from tests.deploy.tools import DEPLOY, adapted
from tests.support.processes import running
from tests.support.programs import program
from tests.support.proxy import Proxy, proxy_for
from tests.support.sockets import free_port
from tests.support.upstream import Upstream, closes, held
from tests.support.waiting import until

FILE = FOLDER / "nginx.conf"
TEXT = FILE.read_text(encoding="utf-8")
HOST = (DEPLOY / "nginx" / "trigger-shim.conf").read_text(encoding="utf-8")
FIRST, SECOND = re.findall(r"^ +server ([\d.:]+) ", TEXT, re.MULTILINE)


@contextlib.contextmanager
def fronted(folder: Path, first: int, second: int) -> Iterator[Proxy]:
    """nginx in front of what listens on two ports."""
    port = free_port()
    changes = {
        FIRST: f"127.0.0.1:{first}",
        SECOND: f"127.0.0.1:{second}",
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "/tmp/": f"{folder}/",  # noqa: S108
        "worker_processes auto;": "daemon off; master_process off;",
    }
    (written := folder / FILE.name).write_text(adapted(FILE, changes))
    command = [program("nginx"), "-e", "stderr", "-c", str(written)]
    ran = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "warn" not in ran.stderr
    front = Proxy("127.0.0.1", port, folder / "callers.jsonl")
    with running(subprocess.Popen(command)):
        until(lambda: listens(front))
        yield front


def listens(front: Proxy) -> bool:
    with contextlib.suppress(OSError):
        front.connect().close()
        return True
    return False


def port_of(upstream: Upstream) -> int:
    return int(upstream.url.rpartition(":")[2])


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_call_that_may_have_done_something_is_never_sent_again(tmp_path: Path, method: str) -> None:
    with (
        Upstream(closes()).running() as one,
        Upstream(closes()).running() as other,
        fronted(tmp_path, port_of(one), port_of(other)) as front,
    ):
        for number in (1, 2):
            answer = front.call(method=method)
            assert len(one.received) + len(other.received) == number
            assert (answer.status, answer.json()["details"]) == (502, {"run_started": "unknown"})
        assert one.received
        assert other.received


def test_where_no_connection_is_made_the_other_proxy_gets_the_call(tmp_path: Path) -> None:
    with Upstream().running() as upstream, fronted(tmp_path, free_port(), port_of(upstream)) as front:
        assert [front.call().status for _ in range(4)] == [200] * 4
        assert len(upstream.received) == 4


def test_calls_go_to_the_proxy_with_fewer_under_way(tmp_path: Path) -> None:
    release = threading.Event()
    with (
        Upstream(held(release)).running() as busy,
        Upstream().running() as idle,
        fronted(tmp_path, port_of(busy), port_of(idle)) as front,
        ThreadPoolExecutor(8) as calls,
    ):
        while not busy.received:
            call = calls.submit(front.call)
            until(lambda call=call: busy.received or call.done())  # type: ignore[misc]
        for _ in range(4):
            call = calls.submit(front.call)
            until(lambda call=call: call.done() or len(busy.received) > 1)  # type: ignore[misc]
        release.set()
        assert len(busy.received) == 1


def test_a_proxy_is_told_who_calls_and_gets_what_was_written(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path) as proxy, fronted(tmp_path, proxy.port, proxy.port) as front:
        told = {"X-Forwarded-For": "192.0.2.1", "Host": "ci-api.example", "Forwarded": "for=192.0.2.1"}
        assert front.call("/acme/shop/ci_workflows/release%2Fprod%20x/trigger", headers=told).status == 200
        assert [record["workflow"] for record in proxy.records()] == ["release/prod x"]
    received = upstream.received[-1]
    assert received.all("X-Forwarded-For") == ["192.0.2.1, 127.0.0.1, 127.0.0.1"]
    assert received.all("X-Forwarded-Host") == ["ci-api.example"]
    assert received.all("Forwarded") == []


# --- as the one in deploy/nginx, whose tests say more


def directives(text: str) -> Counter[str]:
    return Counter(re.findall(r"^ +([a-z_]+ [^;{]+);", text, re.MULTILINE))


OTHERWISE = re.compile("listen|server_name|ssl_|proxy_ssl_|resolver|default http")
"""What concerns TLS, and the way past the proxy."""


def test_it_treats_calls_as_the_one_with_tls_does() -> None:
    other = directives(HOST) - directives(TEXT)
    assert {line for line in other if not OTHERWISE.match(line)} == {
        "server 127.0.0.1:8080",
        "set $trigger_shim_backend $trigger_shim_by_path",
        "proxy_pass $trigger_shim_backend",
        "proxy_set_header Host $trigger_shim_host",
        "proxy_connect_timeout 5s",
        "default api.sourcecraft.tech",
    }


def seconds(key: str) -> float:
    [value] = re.findall(rf"\b{key} (\d+)s;", TEXT)
    return float(value)


def test_its_times_go_with_those_of_the_proxy() -> None:
    upstream = config.load(None, {}).upstream
    assert seconds("proxy_read_timeout") > upstream.timeout + upstream.connect_timeout
    assert seconds("keepalive_timeout") < KEEPALIVE
    # A call that waits for its answer is no call without a connection.
    assert seconds("proxy_connect_timeout") < seconds("proxy_next_upstream_timeout") < upstream.timeout
