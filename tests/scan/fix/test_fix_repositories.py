"""Ten repositories are fixed, and then start the same runs without the proxy as they did through it."""

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from proxy.cli import main
from proxy.gateway.server import listeners, server
from proxy.standin.app import StandIn
from proxy.withdrawn import endpoints
from tests.scan.fix import running
from tests.scan.repositories import run_git
from tests.support.proxy import proxy_for

FOLDER = Path(__file__).with_name("repositories")
BASE = "https://api.sourcecraft.tech"


class Repository(NamedTuple):
    """A repository: how it is run, the options of `scan` that fix it, and what is left to do by hand."""

    run: running.Run
    options: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


DOCUMENT = (
    "docs/api.md:6:42: not changed: calls are changed only in shell scripts, Makefiles, Dockerfiles, YAML, Jenkinsfiles,"
    " Python and JavaScript"
)
REPOSITORIES = [
    pytest.param(one, id=one.run.__name__)
    for one in (
        Repository(running.shell),
        Repository(running.make),
        Repository(running.docker),
        Repository(running.gitlab),
        Repository(running.github),
        Repository(running.jenkins),
        Repository(running.ansible),
        Repository(running.python, ("--unsafe",)),
        Repository(running.javascript, ("--unsafe",)),
        Repository(running.mixed, ("--unsafe",), (DOCUMENT,)),
    )
]


@contextlib.contextmanager
def stand_in() -> Iterator[tuple[StandIn, str]]:
    service, listener = StandIn(), listeners.loopback()
    with server.background(service, listener):
        yield service, f"http://127.0.0.1:{listener.getsockname()[1]}"


def copy(name: str, folder: Path) -> Path:
    shutil.copytree(FOLDER / name, folder)
    run_git(folder, "init", "-q")
    run_git(folder, "add", ".")
    run_git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def run(one: Repository, folder: Path, url: str) -> None:
    """Run it against another address than that of the service."""
    for name, content in contents(folder).items():
        (folder / name).write_bytes(content.replace(BASE.encode(), url.encode()))
    one.run(folder, url)


def received(service: StandIn) -> list[tuple[Any, ...]]:
    """What the service was asked for: a run with the same inputs is the same, however its JSON is written."""
    assert all(answer.startswith("2") for answer in service.answers), service.answers
    return [
        (got.method, got.path, got.query, json.loads(got.body or "null"), got.header("authorization"))
        for got in service.received
    ]


def scan(folder: Path, *options: str) -> tuple[int, bytes, str]:
    """What a scan of a folder returns and prints, in this process."""
    out, errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = main(["scan", ".", *options])
    out.flush()
    return status, out.buffer.getvalue(), errors.getvalue()


@pytest.mark.parametrize("one", REPOSITORIES)
def test_a_repository_starts_the_same_runs_after_it_was_fixed(one: Repository, tmp_path: Path) -> None:
    name = one.run.__name__
    old, new = copy(name, tmp_path / "old"), copy(name, tmp_path / "new")

    status, printed, errors = scan(new, "--fix", *one.options)

    left = [line for line in printed.decode().splitlines() if ": not changed: " in line]
    assert (left, status) == (list(one.left), 2 if left else 0), errors
    assert scan(new, "--fix", *one.options, "--force")[1].decode().splitlines() == left
    with stand_in() as (service, url), proxy_for(url, tmp_path) as proxy:
        run(one, old, f"http://127.0.0.1:{proxy.port}")
        through_the_proxy = received(service)
    with stand_in() as (service, url):
        run(one, new, url)
        assert received(service) == through_the_proxy
        assert not any(endpoints.match(got.method, got.path) for got in service.received)
    assert any(method == "POST" for method, *_ in through_the_proxy)


@pytest.mark.parametrize("one", REPOSITORIES)
def test_git_applies_the_patch_and_comes_to_the_same(one: Repository, tmp_path: Path) -> None:
    name = one.run.__name__
    fixed, patched = copy(name, tmp_path / "fixed"), copy(name, tmp_path / "patched")
    scan(fixed, "--fix", "--unsafe")
    _, patch, _ = scan(patched, "--diff")
    (tmp_path / "the.patch").write_bytes(patch)
    run_git(patched, "apply", str(tmp_path / "the.patch"))
    assert contents(patched) == contents(fixed) != contents(FOLDER / name)
