import bz2
import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.callers.ledger.file_id import Ending, Mark, file_id, last_in_common, thinned
from tests.callers.ledger.restored import lines

PACKED = [pytest.param(bytes, id="plain"), pytest.param(gzip.compress, id="gzip"), pytest.param(bz2.compress, id="bz2")]


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def marks(content: bytes, *positions: int) -> list[Mark]:
    ending = Ending(0)
    [_] = ending.follow([content])
    return [ending.mark(position, number) for number, position in enumerate(positions, 1)]


@pytest.mark.parametrize("pack", PACKED)
def test_a_file_is_known_by_its_first_line_however_it_is_packed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    found = file_id(written(tmp_path / "a", lines(1)))

    assert file_id(written(tmp_path / "b", pack(b"\n\r\n" + lines(1, 2)))) == found
    assert file_id(written(tmp_path / "c", pack(lines(2)))) != found


def test_a_file_without_a_line_is_not_known_yet(tmp_path: Path) -> None:
    assert file_id(written(tmp_path / "a", b"")) is None
    assert file_id(written(tmp_path / "a", b'{"event":'), grows=True) is None
    assert file_id(written(tmp_path / "a", b'{"event":')) is not None


def test_a_file_that_is_damaged_from_its_begin_on_is_known_by_its_bytes(tmp_path: Path) -> None:
    packed = bz2.compress(lines(*range(50)))
    assert file_id(written(tmp_path / "a", packed[:40])) == file_id(written(tmp_path / "b", packed[:40])) is not None
    assert file_id(written(tmp_path / "c", packed[:41])) != file_id(str(tmp_path / "a"))


@pytest.mark.parametrize("pack", PACKED)
@pytest.mark.parametrize("chunk", [1 << 17, 700])
def test_the_last_mark_is_found_up_to_which_files_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes], chunk: int
) -> None:
    monkeypatch.setattr("proxy.callers.log.content.CHUNK", chunk)
    content = lines(*range(30))
    ends = [len(lines(*range(number))) for number in (1, 10, 20, 30)]
    known = marks(content, *ends)

    def compared(other: bytes) -> tuple[Mark | None, bool]:
        return last_in_common(written(tmp_path / "other", pack(other)), known)

    assert compared(content + lines(31)) == (known[3], True)
    assert compared(content[:-1]) == (known[2], False)
    assert compared(lines(*range(25), *range(100, 130))) == (known[2], True)
    assert compared(lines(0, *range(100, 130))) == (known[0], True)
    assert compared(lines(*range(100, 130))) == (None, True)
    assert compared(b"") == (None, False)


def test_few_marks_are_kept_and_the_more_of_them_the_nearer() -> None:
    kept: list[Mark] = []
    for position in range(100, 10_000_000, 1000):
        kept = thinned([*kept, Mark(position, 0, 0, "")])

    distances = [kept[-1].position - each.position for each in kept]
    assert len(kept) < 25
    assert distances[-1] == 0
    for far, near in itertools.pairwise(distances):
        assert far <= 8 * near + 2000
