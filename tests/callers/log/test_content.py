import bz2
import gzip
import importlib
import io
import lzma
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import zstandard

from proxy.callers.log.content import Damaged, chunks, opened
from proxy.callers.log.files import NoLog

TEXT = b"".join(b"%d\n" % number for number in range(100_000))
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
    "zstd": zstandard.compress,
}


def content(data: bytes, *, is_cut: bool = False) -> bytes:
    """What is read of a file."""
    read: list[bytes] = []
    try:
        read.extend(chunks(io.BufferedReader(io.BytesIO(data))))
    except Damaged:
        assert is_cut
    else:
        assert not is_cut
    return b"".join(read)


@pytest.mark.parametrize("data", [b"", b"\n", TEXT], ids=["nothing", "a line", "many lines"])
def test_a_plain_file_is_read_as_it_is(data: bytes) -> None:
    assert content(data) == data


@pytest.mark.parametrize("kind", COMPRESS)
def test_compression_is_detected_by_content(kind: str) -> None:
    compressed = COMPRESS[kind](TEXT)

    assert content(compressed) == TEXT
    assert content(compressed + COMPRESS[kind](b"more\n")) == TEXT + b"more\n"


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_compressed_file_without_its_end_is_damaged(kind: str) -> None:
    compressed = COMPRESS[kind](TEXT)

    for length in (12, len(compressed) // 2, len(compressed) - 1):
        assert TEXT.startswith(content(compressed[:length], is_cut=True))


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_compressed_file_with_a_hole_is_damaged(kind: str) -> None:
    compressed = COMPRESS[kind](TEXT)
    middle = len(compressed) // 2

    content(compressed[:middle] + bytes(2000) + compressed[middle + 2000 :], is_cut=True)


@pytest.mark.parametrize("kind", COMPRESS)
def test_zeros_that_are_compressed_well_take_little_memory(kind: str) -> None:
    bomb = COMPRESS[kind](bytes(32 << 20))
    tracemalloc.start()
    try:
        assert sum(map(len, chunks(io.BufferedReader(io.BytesIO(bomb))))) == 32 << 20
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_with_a_byte_order_mark_becomes_utf_8(encoding: str) -> None:
    text = "Grüße 🙂\r\n" * 50_000
    assert content(("\ufeff" + text).encode(encoding)) == text.encode()


def test_half_a_character_of_utf_16_becomes_invalid_utf_8() -> None:
    with pytest.raises(UnicodeDecodeError):
        content("a\ud800b".encode("utf-16", "surrogatepass")).decode()


def test_a_file_says_what_to_install_if_nothing_can_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ModuleType:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)

    with pytest.raises(Damaged, match="install zstandard"):
        list(chunks(io.BufferedReader(io.BytesIO(zstandard.compress(TEXT)))))


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lzma.compress(TEXT))))

    with opened("-") as stream:
        assert b"".join(chunks(stream)) == TEXT


def test_what_cannot_be_opened_or_read_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(NoLog, match="Is a directory"), opened(str(tmp_path)):
        pass
    with pytest.raises(NoLog, match=r"gone\.jsonl: No such file"), opened(str(tmp_path / "gone.jsonl")):
        pass
