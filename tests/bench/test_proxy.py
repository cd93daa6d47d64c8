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
from tests.bench.contenders import LEGACY_RUN, NJS, RUN, SUBJECT, SUCCESSOR_BODY, Contender, check, peers
from tests.support.paths import ROOT
from tests.support.processes import running
from tests.support.programs import lack, program
from tests.support.waiting import until

CORES = sorted(os.sched_getaffinity(0))


def contender(name: str) -> Contender:
    program("nginx")
    if name == "njs":
        program(str(NJS))
    return next(one for one in [SUBJECT, *peers()] if one.name == name)


@pytest.mark.parametrize("name", ["trigger-shim", "plain", "njs", "bare"])
def test_each_contender_does_the_work(tmp_path: Path, name: str) -> None:
    check(contender(name), tmp_path, CORES)


@pytest.mark.parametrize(
    ("right", "said"),
    [({"answers": LEGACY_RUN}, "bare answers"), ({"sends": SUCCESSOR_BODY}, "bare sends")],
)
def test_a_contender_that_does_something_else_ends_it(tmp_path: Path, right: dict[str, object], said: str) -> None:
    wrong = contender("bare")._replace(**right)  # type: ignore[arg-type]
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


def left_in(folder: Path) -> list[str]:
    """What runs in a folder, as all that the benchmark starts does."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # no process, or one of somebody else
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text())
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_it_where_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    if len(CORES) < 2:
        lack("the benchmark needs two cores", "make test where there are two")
    for name in ("nginx", "wrk"):
        program(name)
    with bench(tmp_path) as process:
        assert process.stderr is not None
        until(lambda: "round 1" in process.stderr.readline())  # type: ignore[union-attr]
        until(lambda: any("-d60s" in command for command in left_in(tmp_path)))
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode in {1, 130}
    assert "Traceback" not in said
    assert left_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_it_needs_is_named(tmp_path: Path) -> None:
    with bench(tmp_path, PATH=str(tmp_path)) as process:
        said = process.communicate(timeout=60)[1]
    if not re.fullmatch(r"(wrk|nginx) is not installed: apt-get install (wrk|nginx-light)\n", said):
        pytest.fail(said)
    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []
