"""A pasted call, run through the proxy, and the call that `translate` writes for it start the same run."""

import contextlib
import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest

from proxy.calls.reader import Kind
from proxy.calls.translation import translate
from proxy.calls.write.written import Target
from proxy.gateway.server import listeners, server
from proxy.standin.app import StandIn
from tests.calls import pasted
from tests.calls.pasted import ENVIRONMENT, MAIN, REAL, URL, Pasted
from tests.support.programs import program
from tests.support.proxy import Proxy, proxy_for
from tests.support.waiting import PATIENCE

NAMES = "'API', 'TOKEN', 'BRANCH', 'N'"
PRELUDE = {
    Kind.PYTHON: f"import json, os, requests\nAPI, TOKEN, BRANCH, N = (os.environ[name] for name in ({NAMES}))\n",
    Kind.JAVASCRIPT: "const { API, TOKEN, BRANCH, N } = process.env;\n",
}
RUN = [
    pytest.param(one, kind, id=f"{kind.name.lower()}-{one.name}")
    for kind, rows in (
        (Kind.SHELL, [*pasted.CURL, *pasted.OTHER_PROGRAMS]),
        (Kind.PYTHON, pasted.PYTHON),
        (Kind.JAVASCRIPT, pasted.JAVASCRIPT),
    )
    for one in rows
    if one.runs and one.body is not None
]
SELF = {Kind.SHELL: Target.CURL, Kind.PYTHON: Target.PYTHON, Kind.JAVASCRIPT: Target.JAVASCRIPT}


class World(NamedTuple):
    """The stand-in, its address, and a proxy in front of it."""

    service: StandIn
    url: str
    proxy: Proxy

    def body_from(self, run: Callable[[str], None], url: str) -> tuple[object, str]:
        """The body and the token of the only run that is started."""
        self.service.received.clear()
        run(url)
        (got,) = self.service.received
        assert (got.method, got.path) == ("POST", "/repos/acme/shop/cicd/runs"), self.service.answers
        assert self.service.answers[-1].startswith("200"), self.service.answers
        return json.loads(got.body), got.header("authorization")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    service, listener = StandIn(), listeners.loopback()
    host, port = listener.getsockname()
    url = f"http://{host}:{port}"
    with server.background(service, listener), proxy_for(url, tmp_path_factory.mktemp("proxy")) as proxy:
        yield World(service, url, proxy)


def runner(text: str, kind: Kind, folder: Path) -> Callable[[str], None]:
    """Runs a text against a service."""

    def run(url: str) -> None:
        source = PRELUDE.get(kind, "") + text.replace(REAL, url)
        if kind is Kind.JAVASCRIPT:
            command = [program("node"), "--input-type=module", "-e", source]
        else:
            command = ["bash", "-c", source]
        environment = {**os.environ, **ENVIRONMENT, "API": url}
        ran = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert "Traceback" not in ran.stderr + ran.stdout, ran.stderr
        assert "Error" not in ran.stderr, ran.stderr

    def run_python(url: str) -> None:
        # In this process: importing `requests` takes longer than the rest of a test.
        source = PRELUDE[Kind.PYTHON] + text.replace(REAL, url)
        with contextlib.chdir(folder), mock.patch.dict(os.environ, {**ENVIRONMENT, "API": url}):
            exec(compile(source, "pasted.py", "exec"), {"__name__": "__main__"})  # noqa: S102

    return run_python if kind is Kind.PYTHON else run


def new_call(one: Pasted, target: Target) -> str:
    (result,) = translate(one.text, target, load={"body.json": MAIN}.get).results
    assert result.new is not None, result.problem
    return result.text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "body.json").write_text(MAIN)
    return tmp_path


@pytest.mark.parametrize(("one", "kind"), RUN)
def test_the_new_call_starts_the_run_that_the_old_one_started(
    one: Pasted, kind: Kind, world: World, folder: Path
) -> None:
    old = world.body_from(runner(one.text, kind, folder), f"http://{world.proxy.host}:{world.proxy.port}")
    new = world.body_from(runner(new_call(one, SELF[kind]), kind, folder), world.url)
    assert new == old


BODIES = ["plain", "heredoc", "printf", "empty-body", "bearer", "file", "wget-file"]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *((name, Target.PYTHON) for name in BODIES),
        # Their programs are slow to start: a body from each place that they write differently.
        *((name, target) for name in ("plain", "empty-body", "file") for target in (Target.JAVASCRIPT, Target.HTTPIE)),
    ],
)
def test_a_call_in_another_language_starts_the_same_run(name: str, target: Target, world: World, folder: Path) -> None:
    if target is Target.HTTPIE:
        program("http")
    one = next(one for one in [*pasted.CURL, *pasted.OTHER_PROGRAMS] if one.name == name)
    kind = {Target.PYTHON: Kind.PYTHON, Target.JAVASCRIPT: Kind.JAVASCRIPT}.get(target, Kind.SHELL)
    old = world.body_from(runner(one.text, Kind.SHELL, folder), f"http://{world.proxy.host}:{world.proxy.port}")
    new = world.body_from(runner(new_call(one, target), kind, folder), world.url)
    assert new == old


def quoted(text: str) -> str:
    """A text in the quotes of PowerShell."""
    return "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        *itertools.product([Kind.SHELL, Kind.PYTHON, Kind.JAVASCRIPT, Kind.POWERSHELL], [Target.CURL, Target.PYTHON]),
        (Kind.JAVASCRIPT, Target.JAVASCRIPT),  # node is slow to start
    ],
)
def test_inputs_arrive_as_they_were_whatever_is_written(kind: Kind, target: Target, world: World, folder: Path) -> None:
    """The values hold what each language has to escape."""
    value = "1.2 $x `y` ${z} 'q' \\ {b} é\u2028\U0001f600%s"
    body = {"revision": "tags:v1", "input": {"values": [{"name": "v", "value": value}, {"name": "n", "value": "5"}]}}
    expected = {
        "workflows": [{"name": "build", "values": body["input"]["values"]}],  # type: ignore[index]
        "head": {"tag": "v1"},
    }
    literal = json.dumps(body, ensure_ascii=False)
    token = "Authorization: 'Bearer t'"
    text = {
        Kind.SHELL: f"curl {URL} -H 'Authorization: Bearer t' -d {shlex.quote(literal)}",
        Kind.PYTHON: f"requests.post('{URL}', headers={{'Authorization': 'Bearer t'}}, json={body!r})",
        Kind.JAVASCRIPT: f"fetch('{URL}', {{method: 'POST', headers: {{ {token} }}, body: JSON.stringify({literal})}})",
        Kind.POWERSHELL: f"irm -Method Post {URL} -Headers @{{Authorization = 'Bearer t'}} -Body {quoted(literal)}",
    }[kind]
    (result,) = translate(text, target).results
    assert result.new is not None, result.problem
    run = {Target.PYTHON: Kind.PYTHON, Target.JAVASCRIPT: Kind.JAVASCRIPT}.get(target, Kind.SHELL)
    awaited = f"await {result.text}" if (kind, run) == (Kind.JAVASCRIPT, Kind.JAVASCRIPT) else result.text
    assert world.body_from(runner(awaited, run, folder), world.url) == (expected, "Bearer t")


def test_what_a_variable_holds_arrives_in_another_language(world: World, folder: Path) -> None:
    values = """[{"name": "v", "value": "'"$VERSION"'-x"}, {"name": "n", "value": '$QUOTED'}]"""
    text = f"""curl {URL} -H "Authorization: Bearer $TOKEN" -d '{{"input": {{"values": {values}}}}}'"""
    for target, kind in ((Target.PYTHON, Kind.PYTHON), (Target.JAVASCRIPT, Kind.JAVASCRIPT), (Target.CURL, Kind.SHELL)):
        (result,) = translate(text, target).results
        body, token = world.body_from(runner(result.text, kind, folder), world.url)
        expected = [{"name": "v", "value": f"{ENVIRONMENT['VERSION']}-x"}, {"name": "n", "value": "5"}]
        assert body == {"workflows": [{"name": "build", "values": expected}]}
        assert token == "Bearer t0k3n"
