import json
from pathlib import Path

import pytest

from proxy.scan import baseline
from proxy.scan.baseline import BaselineError
from proxy.scan.finding import Located
from proxy.scan.scan import Scan

CALL = "curl $API/acme/shop/ci_workflows/{}/trigger\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ci.sh").write_text(CALL.format("build") + CALL.format("test"))
    return tmp_path


def scanned(name: str = ".") -> list[Located]:
    scan = Scan()
    scan.examine([name])
    return scan.found


def known(path: str) -> list[Located]:
    return baseline.known(scanned("ci.sh"), path, baseline.read(path))


def test_what_a_baseline_has_is_known_wherever_it_moves(folder: Path) -> None:
    baseline.write(scanned(), "known.json")
    (folder / "ci.sh").write_text("\n\n" + CALL.format("test") + "\n" + CALL.format("new") + CALL.format("build"))

    assert [located.finding.line for located in known("known.json")] == [3, 6]


def test_one_more_of_the_same_is_new(folder: Path) -> None:
    baseline.write(scanned(), "known.json")
    (folder / "ci.sh").write_text(3 * CALL.format("build"))

    assert [located.finding.line for located in known("known.json")] == [1]


def test_a_baseline_holds_from_any_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "etc").mkdir()
    baseline.write(scanned(str(folder / "ci.sh")), "etc/known.json")
    monkeypatch.chdir(folder / "etc")

    found = scanned("../ci.sh")

    assert baseline.known(found, "known.json", baseline.read("known.json")) == found


def test_people_can_read_a_baseline(folder: Path) -> None:
    baseline.write(scanned(), "known.json")

    findings = json.loads((folder / "known.json").read_text())["findings"]

    assert [(one["file"], one["endpoint"], one["found"]) for one in findings] == [
        ("ci.sh", "trigger", "/acme/shop/ci_workflows/build/trigger"),
        ("ci.sh", "trigger", "/acme/shop/ci_workflows/test/trigger"),
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["ci.sh", "known.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"findings": [{"file": "a"}]}', "\udcff"])
def test_what_is_not_a_baseline_is_refused(folder: Path, content: str) -> None:
    (folder / "known.json").write_bytes(content.encode(errors="surrogateescape"))

    with pytest.raises(BaselineError, match=r"known\.json: not a baseline of scan: .*; write it with --write-baseline"):
        baseline.read("known.json")


def test_a_baseline_that_cannot_be_read_or_written_is_told(folder: Path) -> None:
    with pytest.raises(BaselineError, match="nowhere: No such file or directory"):
        baseline.read("nowhere")
    with pytest.raises(BaselineError, match=r"nowhere/known\.json: No such file or directory"):
        baseline.write(scanned(), "nowhere/known.json")
    (folder / "taken").mkdir()
    with pytest.raises(BaselineError, match="taken: Is a directory"):
        baseline.write(scanned(), "taken")
    assert not list(folder.glob("*.tmp"))
