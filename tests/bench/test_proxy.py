import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import contenders
from tests.bench.contenders import LEGACY_RUN, NJS, RUN, SUCCESSOR_BODY, Contender, check, peers
from tests.support.paths import ROOT
from tests.support.processes import running
from tests.support.programs import lack, program
from tests.support.waiting import PATIENCE, until

CORES = sorted(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("right", "said"),
    [({"answers": LEGACY_RUN}, "bare answers"), ({"sends": SUCCESSOR_BODY}, "bare sends")],
)
def test_a_contender_that_does_something_else_ends_it(tmp_path: Path, right: dict[str, object], said: str) -> None:
    program("nginx")
    bare = next(peer for peer in peers() if peer.name == "bare")
    wrong = bare._replace(**right)  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match=said):
        check(wrong, tmp_path, CORES)


def test_a_contender_that_does_not_start_ends_it(tmp_path: Path) -> None:
    broken = Contender("broken", lambda _: [sys.executable, "-c", "raise SystemExit('no way')"], answers=RUN)
    with pytest.raises(SystemExit, match="broken does not start: no way"):
        check(broken, tmp_path, CORES)


def test_a_peer_that_is_not_there_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contenders, "NJS", tmp_path / "missing.so")
    assert [peer.name for peer in peers()] == ["plain", "bare"]
    assert capsys.readouterr().err == "njs is left out: apt-get install libnginx-mod-http-js\n"


@contextlib.contextmanager
def bench(folder: Path, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    command = ["/usr/bin/env", "--default-signal"]  # whatever runs the tests may ignore some
    command += [sys.executable, "-m", "tests.bench.proxy", "--rounds=1", "--seconds=60", "--connections=4"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **environment}
    with running(subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True)) as process:
        yield process


def left_in(folder: Path) -> list[list[str]]:
    """What runs in a folder, as all that the benchmark starts does."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # no process, or one of somebody else
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text().split("\0"))
    return found


@pytest.mark.parametrize(
    ("number", "status", "meanwhile"),
    [
        (signal.SIGINT, 130, "serve"),  # it sees that the first contender does its work
        (signal.SIGTERM, 1, "wrk"),  # all of them do, and the first one is measured
    ],
)
def test_nothing_is_left_of_it_where_a_signal_ends_it(
    tmp_path: Path, number: signal.Signals, status: int, meanwhile: str
) -> None:
    if len(CORES) < 2:
        lack("the benchmark needs two cores", "make test where there are two")
    for name in ("nginx", "wrk", str(NJS)):
        program(name)
    with bench(tmp_path) as process:
        until(lambda: process.poll() is not None or runs(meanwhile, tmp_path))
        process.send_signal(number)
        said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == status, said
    assert "Traceback" not in said
    assert left_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def runs(name: str, folder: Path) -> bool:
    """Whether a program with this name, or with this argument, runs in a folder."""
    return any(name in map(os.path.basename, command) for command in left_in(folder))


def test_a_program_that_it_needs_is_named(tmp_path: Path) -> None:
    with bench(tmp_path, PATH=str(tmp_path)) as process:
        said = process.communicate(timeout=PATIENCE)[1]
    if not re.fullmatch(r"(wrk|nginx) is not installed: apt-get install (wrk|nginx-light)\n", said):
        pytest.fail(said)
    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []
