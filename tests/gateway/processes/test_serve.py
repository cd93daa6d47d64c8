import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from proxy import __version__
from proxy.gateway.metrics import FOLDER
from proxy.gateway.server import listeners
from tests.support.processes import events, running, shown_lines
from tests.support.proxy import Proxy
from tests.support.scrape import Scrape
from tests.support.serving import command, ended, serving
from tests.support.sockets import free_port
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.workers import paused, workers


def test_a_terminal_shows_a_line_about_what_is_served(upstream: Upstream, tmp_path: Path) -> None:
    with serving(upstream.url, tmp_path) as running:
        assert running.call().answer() is not None
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
        with contextlib.suppress(OSError):  # so does the end of a terminal read
            assert shown_lines(os.read(running.terminal, 4096)) == []
    assert running.announced == [
        f"trigger-shim: listening url=http://127.0.0.1:{running.proxy.port} upstream={upstream.url} "
        f"caller_log={running.proxy.log} config={tmp_path / 'config.yaml'} version={__version__}",
    ]


def test_without_a_terminal_only_that_and_problems_are_logged(upstream: Upstream, tmp_path: Path) -> None:
    log = tmp_path / "callers.jsonl"
    arguments = command(upstream.url, tmp_path)
    with running(subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)) as process:
        until(lambda: log.exists() and b'"start"' in log.read_bytes())
        process.terminate()
        out, said = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, b"")
    assert events(said) == []
    listening = json.loads(said.splitlines()[0])
    assert listening["event"] == "listening"
    assert listening["version"] == __version__
    assert [json.loads(line)["at"] for line in log.read_text().splitlines()] == ["start", "stop"]


def test_variables_that_name_an_egress_proxy_are_ignored_and_named_once(upstream: Upstream, tmp_path: Path) -> None:
    names = ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "http_proxy", "https_proxy"]
    port = free_port()
    arguments = command(upstream.url, tmp_path, listen=f"127.0.0.1:{port}")
    environment = {**os.environ, **dict.fromkeys(names, "http://user:secret@127.0.0.1:1"), "NO_PROXY": "none"}
    proxy = Proxy("127.0.0.1", port, tmp_path / "callers.jsonl")
    with running(subprocess.Popen(arguments, stderr=subprocess.PIPE, env=environment)) as process:
        until(lambda: workers(proxy, 1))
        assert proxy.call().status == 200
        process.terminate()
        said = process.communicate(timeout=60)[1]
    assert b"secret" not in said
    [ignored] = events(said)
    assert (ignored["event"], ignored["variables"]) == ("environment_ignored", sorted(names))


def test_a_port_in_use_is_named(upstream: Upstream, tmp_path: Path) -> None:
    with listeners.loopback() as taken:
        address = "{}:{}".format(*taken.getsockname())
        arguments = command(upstream.url, tmp_path, listen=address)
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    [failed] = events(ended.stderr)
    assert (failed["event"], failed["message"]) == ("serve_failed", f"listen: {address}: Address already in use")


def test_a_log_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    arguments = command("http://upstream.example", tmp_path, callers={"log": str(tmp_path / "file" / "callers.jsonl")})
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    [failed] = events(ended.stderr)
    assert failed["message"].startswith(f"callers.log: {tmp_path / 'file'}")


@pytest.mark.parametrize("broken", ["listen", "callers", "tls", "upstream"])
def test_problems_found_before_a_worker_starts_are_reported_once(tmp_path: Path, broken: str) -> None:
    (tmp_path / "file").write_text("nonsense")
    file = str(tmp_path / "file")
    with listeners.loopback() as taken:
        section = {
            "listen": "{}:{}".format(*taken.getsockname()),
            "callers": {"log": f"{file}/callers.jsonl"},
            "tls": {"certificate": file, "key": file},
            "upstream": {"authorities": file},
        }[broken]
        end = ended(command("https://upstream.example", tmp_path, workers=2, **{broken: section}))
    assert (end.returncode, end.stdout) == (1, "")
    [failed] = events(end.stderr)
    assert failed["event"] == "serve_failed"
    assert failed["message"].startswith(broken)
    assert "worker" not in failed["message"]


def test_all_workers_make_the_same_fingerprint_of_a_token_and_warn_together(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://user:secret@127.0.0.1:1")
    log = tmp_path / "out.jsonl"
    port = free_port()
    arguments = command(upstream.url, tmp_path, workers=2, listen=f"127.0.0.1:{port}", callers={"log": "-"})
    proxy = Proxy("127.0.0.1", port, log)
    with log.open("wb") as out, running(subprocess.Popen(arguments, stdout=out, stderr=subprocess.PIPE)) as process:
        for pid in until(lambda: workers(proxy, 2)):
            with paused(pid):
                assert proxy.call().status == 200
        process.terminate()
        errors = process.communicate(timeout=60)[1].decode()
    assert len({record["token"] for record in proxy.records()}) == 1
    assert len(proxy.records()) == 2
    named = sorted(event["event"] for event in events(errors))
    assert named == ["environment_ignored", "fingerprint_key_missing"]
    assert "secret" not in errors


def test_one_worker_shares_no_folder(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv(FOLDER, str(shared))
    with serving(upstream.url, tmp_path, admin="127.0.0.1:0") as running:
        assert running.call().answer() is not None
        assert sum(Scrape(running.admin).calls().values()) == 1
    assert list(shared.iterdir()) == []
