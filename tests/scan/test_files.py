"""How files are read, in one process or several."""

import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy.scan import files
from proxy.scan.files import File, decode, examine_all
from proxy.scan.scan import Scan
from proxy.scan.suppressions import Sifted

CALL = "/acme/shop/ci_workflows/build/trigger"


@pytest.mark.parametrize(
    "content",
    [
        "ż ".encode() + CALL.encode(),
        b"\xef\xbb\xbfx " + CALL.encode(),
        "\ufeffż ".encode("utf-16-le") + CALL.encode("utf-16-le"),
        "\ufeffż ".encode("utf-16-be") + CALL.encode("utf-16-be") + b"\0",
        "\ufeffż ".encode("utf-32-le") + CALL.encode("utf-32-le"),
        b"\xff " + CALL.encode(),
        b"\xc5\xbc " + CALL.encode() + b"\xc5",
    ],
    ids=["UTF-8", "a mark", "UTF-16", "UTF-16 cut short", "UTF-32", "no UTF-8", "UTF-8 cut short"],
)
def test_text_is_read_by_its_mark_or_as_utf_8(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "text").write_bytes(content)
    scan = Scan()

    scan.examine([str(tmp_path)])

    [located] = scan.found

    assert (located.finding.found, located.finding.column) == (CALL, 3)
    assert decode(content).startswith(("ż ", "x ", "\ufffd "))


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[File]:
    monkeypatch.setattr(files, "FEW", 4)
    monkeypatch.setattr(files, "_BATCH", 2)
    monkeypatch.setattr(files, "_processors", lambda: 2)
    for number in range(9):
        (tmp_path / f"{number}.sh").write_text("\n" * number + CALL)
    (tmp_path / "binary").write_bytes(b"\0")
    return [File(str(tmp_path / name)) for name in ("binary", *(f"{number}.sh" for number in range(9)), "nowhere")]


def lines(examined: Sequence[files.Examined]) -> list[object]:
    return [[finding.line for finding in one.findings] if isinstance(one, Sifted) else one for one in examined]


def test_several_processes_find_the_same_in_the_same_order(many: list[File], monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    together = lines([*examine_all(many, done.append)])
    monkeypatch.setattr(files, "_processors", lambda: 1)
    alone = lines([*examine_all(many, done.append)])

    assert together == alone == ["binary", *([number] for number in range(1, 10)), "unreadable"]
    assert done == 2 * [2, 2, 2, 2, 2, 1]


def test_a_scan_that_is_given_up_leaves_no_process_behind(many: list[File]) -> None:
    examined = examine_all(many, lambda _: None)
    next(examined)

    examined.close()  # type: ignore[attr-defined]

    assert multiprocessing.active_children() == []
