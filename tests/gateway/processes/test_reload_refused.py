"""Configurations that cannot be reloaded."""

import asyncio
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from proxy import config
from proxy.config import Config
from proxy.gateway.metrics import Metrics
from proxy.gateway.processes.reload import Reload, needing_restart
from tests.gateway.processes.reloading import (
    ENDED,
    MOVED,
    READ,
    REFUSED,
    SUCCESS,
    SUCCESSFUL,
    Reloading,
    one_and_several,
    reloading,
)
from tests.support.ledgers import stored_calls
from tests.support.processes import next_event, running
from tests.support.serving import command
from tests.support.upstream import Upstream, held
from tests.support.waiting import until


def has_no_such_key(proxy: Reloading) -> None:
    proxy.file.write_text(proxy.content(lifecycle={"sunste": "2040-01-01"}))


def is_wrong_twice(proxy: Reloading) -> None:
    proxy.file.write_text(proxy.content(lifecycle={"sunset": "soon"}, callers={"known": [{"name": "x"}]}, workers=-1))


def is_no_yaml(proxy: Reloading) -> None:
    proxy.file.write_text("lifecycle: {sunset: 'hidden")


def is_no_text(proxy: Reloading) -> None:
    proxy.file.write_bytes(b"listen: \xff\n")


def is_a_folder(proxy: Reloading) -> None:
    proxy.file.unlink()
    proxy.file.mkdir()


def is_gone(proxy: Reloading) -> None:
    proxy.file.rmdir()


BAD = [
    (has_no_such_key, ["lifecycle.sunste: unknown key; did you mean lifecycle.sunset?"]),
    (is_wrong_twice, ["lifecycle.sunset: ", "workers: "]),
    (is_no_yaml, ["{file}: line 1: "]),
    (is_no_text, ["{file}: not UTF-8"]),
    (is_a_folder, ["{file}: Is a directory"]),
    (is_gone, ["{file}: No such file or directory"]),
]


@one_and_several
def test_a_bad_file_leaves_the_policy_in_force_and_says_why(upstream: Upstream, tmp_path: Path, count: int) -> None:
    known = {"known": [MOVED]}
    with reloading(upstream, tmp_path, count) as proxy:
        proxy.reload(callers=known)
        success = proxy.scrape()[SUCCESS]
        for spoil, problems in BAD:
            spoil(proxy)
            proxy.running.signal(signal.SIGHUP)
            lines = sorted(proxy.said(count=len(problems)))
            for line, problem in zip(lines, problems, strict=True):
                assert line.startswith(REFUSED + problem.format(file=proxy.file))
                assert "hidden" not in line
            for _ in proxy.each():
                assert (proxy.scrape()[SUCCESSFUL], proxy.scrape()[SUCCESS]) == (0, success)
                assert proxy.statuses("moved", "stays") == [410, 200]
        assert proxy.reload(callers=known) == [f"{READ}known_callers=1 brownouts=0"]
        for _ in proxy.each():
            assert proxy.scrape()[SUCCESSFUL] == 1
            assert proxy.scrape()[SUCCESS] > success


def test_a_missing_default_file_is_reported(upstream: Upstream, tmp_path: Path) -> None:
    arguments = command(upstream.url, tmp_path, lifecycle=ENDED)[: -len(["--config", "file"])]
    log = tmp_path / "callers.jsonl"
    with running(subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.PIPE, text=True)) as process:
        until(lambda: log.exists() and b'"start"' in log.read_bytes())
        (tmp_path / "config.yaml").unlink()
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        refused = next_event(process.stderr)
        assert refused["event"] == "reload_refused"
        assert refused["message"].startswith("config.yaml: No such file or directory")


@one_and_several
def test_keys_that_need_a_restart_are_named_and_unchanged(upstream: Upstream, tmp_path: Path, count: int) -> None:
    release, ledger = threading.Event(), str(tmp_path / "callers.db")
    with reloading(upstream, tmp_path, count, ledger=ledger) as proxy:
        named, verdict = proxy.reload(
            listen="127.0.0.1:1",
            workers=3,
            upstream={"url": "http://127.0.0.1:1"},
            limits={"in_flight": 1},
            callers={"log": str(tmp_path / "other.jsonl"), "fingerprint_key": "hidden" * 4, "known": [MOVED]},
        )
        assert named == (
            'trigger-shim: warning: restart needed keys=["listen","workers","upstream.url","limits.in_flight",'
            '"callers.log","callers.fingerprint_key"]: these changed in the file'
        )
        assert verdict == f"{READ}known_callers=1 brownouts=0"
        assert len(proxy.pids()) == count
        for _ in proxy.each():
            upstream.received.clear()
            upstream.script = held(release)
            calls = [proxy.running.call() for _ in range(2)]
            until(lambda: len(upstream.received) == 2)
            release.set()
            assert [answer.status for call in calls if (answer := call.answer()) is not None] == [200, 200]
            assert proxy.statuses("moved") == [410]
            release.clear()
        until(lambda: stored_calls(ledger) == 3 * count)
        report = proxy.running.admin.call("/callers.json", None, method="GET").json()
        assert report["read"]["calls"] == 3 * count
        assert len(proxy.proxy.records()) == 3 * count
        assert not (tmp_path / "other.jsonl").exists()
        named, _ = proxy.reload(limits={"drain": 7})
        assert named == 'trigger-shim: warning: restart needed keys=["limits.drain"]: these changed in the file'


def test_a_whole_section_may_need_a_restart() -> None:
    before = config.load(os.devnull, {})
    after = config.load(os.devnull, {}, {"admin": None, "tls": {"certificate": __file__, "key": __file__}})
    assert needing_restart(before, after) == ["admin", "tls"]
    assert needing_restart(before, before) == []
    assert needing_restart(before, config.load(os.devnull, {}, {"letters": {"sender": "Anna"}})) == []


def reload_once(running: Config, read: Config, adopt: Any) -> tuple[list[str], float]:
    metrics = Metrics(running)
    reload = Reload(lambda: read, running, running, adopt, metrics.reloads)
    problems = asyncio.run(reload._reload())
    [value] = [
        line.split()[1]
        for line in metrics.exposition("")[1].decode().splitlines()
        if line.startswith(f"trigger_shim_{SUCCESSFUL} ")
    ]
    return problems, float(value)


def test_a_reload_may_not_contradict_what_runs(tmp_path: Path) -> None:
    async def adopt(_config: Config) -> None:
        pytest.fail("it was put in force")

    running = config.load(os.devnull, {}, {"callers": {"log": "-"}, "ledger": None})
    callers = {"log": str(tmp_path / "callers.jsonl")}
    read = config.load(os.devnull, {}, {"callers": callers, "lifecycle": {"freeze": "2026-01-01"}})
    [problem], value = reload_once(running, read, adopt)
    assert problem.startswith("lifecycle.freeze: ")
    assert value == 0


def test_a_reload_with_a_fault_has_failed() -> None:
    async def adopt(_config: Config) -> None:
        raise RuntimeError("hidden")

    running = config.load(os.devnull, {})
    assert reload_once(running, running, adopt) == (["a fault of the proxy itself: RuntimeError"], 0)
