import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import run_file
from proxy.callers.log.journal import memory_folder
from proxy.run_file import Run, RunFile, runs


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "config.yaml"
    file.touch()
    return str(file)


@pytest.fixture
def running(config: str) -> Iterator[RunFile]:
    made = RunFile(config)
    yield made
    made.close()


def test_a_proxy_that_runs_is_found_with_what_it_said_last(config: str, running: RunFile) -> None:
    assert runs(config) == [Run(os.getpid())]
    running.reloaded(["a problem"], [])
    running.reloaded([], ["limits.drain"])
    assert runs(config) == [Run(os.getpid(), 2, [], ["limits.drain"])]


def test_a_proxy_that_has_ended_is_not_found(config: str) -> None:
    RunFile(config).close()
    assert runs(config) == []


def planted(config: str, content: bytes) -> Path:
    path = Path(memory_folder(), f"{run_file._prefix(config)}1")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", [b"", b"{", b"[]", json.dumps({"pid": 1}).encode()])
def test_a_file_that_nobody_holds_is_ignored(config: str, content: bytes) -> None:
    """A proxy that was killed has left it, or somebody else has put it there."""
    path = planted(config, content)
    try:
        assert runs(config) == []
    finally:
        path.unlink()


def test_a_file_of_another_user_than_the_process_is_ignored(
    config: str, running: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runs(config) != []
    original = os.fstat
    monkeypatch.setattr(os, "fstat", lambda file: os.stat_result([*original(file)[:4], 12345, *original(file)[5:10]]))
    assert runs(config) == []
    monkeypatch.undo()
    running.reloaded([], [])


def test_a_link_is_not_followed(config: str, running: RunFile) -> None:
    [real] = Path(memory_folder()).glob(f"{run_file._prefix(config)}*")
    link = real.with_name(f"{run_file._prefix(config)}link")
    link.symlink_to(real)
    try:
        assert len(runs(config)) == 1
    finally:
        link.unlink()
    running.reloaded([], [])
