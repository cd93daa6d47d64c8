import os
import signal
from pathlib import Path
from typing import Any

import pytest

from proxy import run_file
from proxy.commands import reload
from tests.commands.running import Ran, Run
from tests.gateway.processes.reloading import ENDED, one_and_several, reloading
from tests.support.upstream import Upstream


@one_and_several
def test_it_says_what_the_proxy_says(upstream: Upstream, tmp_path: Path, run: Run, count: int) -> None:
    with reloading(upstream, tmp_path, count) as proxy:
        pid = proxy.running.process.pid
        proxy.file.write_text(proxy.content(lifecycle=ENDED))
        assert run("reload", "--config", str(proxy.file)) == Ran(0, f"{proxy.file} is in force in process {pid}\n", "")
        assert proxy.proxy.call().status == 410

        proxy.file.write_text(proxy.content(limits={"drain": 7}))
        assert run("reload", "--config", str(proxy.file)) == Ran(
            0,
            f"{proxy.file} is in force in process {pid}\n",
            "trigger-shim: warning: these changed, and take effect at the next start: limits.drain\n",
        )
        assert proxy.proxy.call().status == 200

        proxy.file.write_text(proxy.content(lifecycle={"sunset": "soon"}, limits={"drain": "long"}))
        refused = run("reload", "--config", str(proxy.file))
        assert (refused.status, refused.out) == (2, "")
        assert [line.split(":")[2] for line in refused.err.splitlines()] == [" lifecycle.sunset", " limits.drain"]
        proxy.running.signal(signal.SIGTERM)
        assert proxy.running.exit_status() == 0
        assert run("reload", "--config", str(proxy.file)).status == 1


def test_a_proxy_is_found_by_any_path_of_its_file(
    upstream: Upstream, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reloading(upstream, tmp_path, 1):
        (tmp_path / "link.yaml").symlink_to("config.yaml")
        assert run("reload", "--config", str(tmp_path / "link.yaml")).status == 0
        monkeypatch.chdir(tmp_path)
        assert run("reload").status == 0


def test_without_a_proxy_it_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    assert run("reload", "--config", "config.yaml") == Ran(
        1,
        "",
        "trigger-shim: error: no proxy of this user runs with config.yaml: name the file that it was started with\n",
    )


def test_without_a_file_it_asks_for_one(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("reload").status == 2


def test_a_proxy_that_does_not_answer_is_not_waited_for_for_ever(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: list[Any]
) -> None:
    monkeypatch.setattr(reload, "PATIENCE", 0.05)
    config = str(tmp_path / "config.yaml")
    Path(config).touch()
    running = run_file.RunFile(config)
    try:
        assert run("reload", "--config", config) == Ran(
            1, "", f"trigger-shim: error: the proxy {os.getpid()} has not answered within 0.05 s\n"
        )
        assert killed == [(os.getpid(), signal.SIGHUP)]
    finally:
        running.close()
    assert run("reload", "--config", config).status == 1


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    sent: list[Any] = []
    monkeypatch.setattr(os, "kill", lambda *signal: sent.append(signal))
    return sent
