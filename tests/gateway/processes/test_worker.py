import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import next_event, running
from tests.support.proxy import Proxy
from tests.support.serving import command
from tests.support.sockets import free_port
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.workers import workers


def test_a_worker_without_a_supervisor_ends(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(theirs)
    try:
        end = subprocess.run(
            [sys.executable, "-m", "proxy.gateway.processes.worker", str(ours)],
            pass_fds=(ours,),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
    finally:
        os.close(ours)
    assert (end.returncode, end.stdout, end.stderr) == (1, "", "")


def test_workers_log_in_the_same_format(upstream: Upstream, tmp_path: Path) -> None:
    port = free_port()
    arguments = command(upstream.url, tmp_path, workers=2, listen=f"127.0.0.1:{port}")
    proxy = Proxy("127.0.0.1", port, tmp_path / "callers.jsonl")
    with running(subprocess.Popen(arguments, stderr=subprocess.PIPE)) as process:
        until(lambda: len(workers(proxy, 2)) == 2)
        proxy.call("//acme/shop/cicd/runs")
        assert process.stderr is not None
        event = next_event(process.stderr)
    assert event["event"] == "base_url_ends_in_slash"
