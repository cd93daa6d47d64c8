"""No core dump shows what callers sent."""

import os
import resource
import signal
from pathlib import Path

import pytest

from tests.support.serving import serving
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.workers import two_workers


def core_limit(pid: int) -> tuple[int, int]:
    return resource.prlimit(pid, resource.RLIMIT_CORE)


def test_no_process_may_write_a_core(upstream: Upstream, tmp_path: Path) -> None:
    with two_workers(upstream.url, tmp_path) as (running, workers):
        for pid in (running.process.pid, *workers):
            assert core_limit(pid) == (0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to lift the limit of core dumps")
def test_sigquit_dumps_no_core_however_much_the_system_allows(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    handler = signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # shells have what runs in the background ignore it
    try:
        with serving(upstream.url, tmp_path) as running:
            assert running.proxy.call(headers={"Authorization": "Bearer canary"}).status == 200
            pid = running.process.pid
            os.kill(pid, signal.SIGQUIT)
            _, status = until(lambda: (found := os.waitpid(pid, os.WNOHANG))[0] and found)
            running.process.returncode = -signal.SIGQUIT
    finally:
        signal.signal(signal.SIGQUIT, handler)
        resource.setrlimit(resource.RLIMIT_CORE, before)

    assert os.WTERMSIG(status) == signal.SIGQUIT
    assert not os.WCOREDUMP(status)
