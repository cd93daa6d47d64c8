"""What a scan counts, and what it leaves out."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.scan import files
from proxy.scan.finding import Confidence
from proxy.scan.scan import Scan

CALL = "/acme/shop/ci_workflows/build/trigger"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scanned(**texts: str) -> Scan:
    for name, text in texts.items():
        Path(name).write_text(text)
    scan = Scan()
    scan.examine(["."])
    return scan


def test_calls_and_what_is_to_be_looked_at_are_counted() -> None:
    scan = scanned(a=f"{CALL}\ncurl $SC/$ORG/$REPO/cicd/runs", b="flux_public_id", c="API=https://api.sourcecraft.tech")

    assert (scan.calls, scan.looks) == (2, 1)
    assert [scan.count(one) for one in Confidence] == [1, 1, 1, 1]


def test_the_base_url_is_shown_only_beside_something_that_it_helps() -> None:
    alone, beside = scanned(c="API=https://api.sourcecraft.tech"), scanned(a=CALL)
    for scan in (alone, beside):
        scan.drop_notes()

    assert alone.found == []
    assert [located.file for located in beside.found] == ["a", "c"]


def test_comments_suppress_and_those_without_a_reason_are_told() -> None:
    scan = scanned(a=f"{CALL} # trigger-shim: ignore it is a fixture\n{CALL} # trigger-shim: ignore\n")

    assert ([located.finding.line for located in scan.found], scan.suppressed) == ([2], 1)
    assert scan.warnings == ["a:2: 'trigger-shim: ignore' needs a reason behind it, and suppresses nothing without one"]


def test_what_is_left_out_for_the_baseline_is_counted() -> None:
    scan = scanned(a=f"{CALL}\n{CALL}\n{CALL}")

    scan.leave_out(scan.found[:2])

    assert ([located.finding.line for located in scan.found], scan.known) == ([3], 2)


def test_a_process_that_dies_is_a_problem_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    first = os.getpid()
    for number in range(4):
        Path(str(number)).touch()
    monkeypatch.setattr(files, "FEW", 2)
    monkeypatch.setattr(files, "_processors", lambda: 2)
    monkeypatch.setattr(files, "examine", lambda _: os._exit(1) if os.getpid() != first else None)
    scan = Scan()

    scan.examine(["."])

    [problem] = scan.problems
    assert problem.endswith("not all files were examined")


def test_the_likely_callers_are_written_to_each_finding() -> None:
    scan = scanned(a=CALL)

    scan.name_callers(lambda located: (located.file, "nightly"))

    assert [located.callers for located in scan.found] == [("a", "nightly")]


def test_progress_is_told_how_many_files_there_are_and_are_done() -> None:
    told: list[int] = []

    @contextlib.contextmanager
    def progress(total: int) -> Iterator[Callable[[int], None]]:
        told.append(-total)
        yield told.append

    Path("a").touch()
    Path("b").touch()
    Scan().examine(["."], progress=progress)

    assert told == [-2, 2]
