import gzip
import io
import os
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.callers.log.files import NoLog, size_on_disk
from proxy.callers.record import Heartbeat, Record
from proxy.callers.report.reader import LONGEST_LINE, Reader, whole_lines
from tests.callers.lines import NOW, beats, call, line, log

WHOLE = line(call(caller="whole"))


def callers(reader: Reader) -> list[str]:
    return [record.caller for records, _ in reader for record in records if not isinstance(record, Heartbeat)]


def written(folder: Path, content: bytes, name: str = "callers.jsonl") -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def test_every_record_is_read_with_its_line(tmp_path: Path) -> None:
    records: list[Record] = [*(call(caller=str(number)) for number in range(3000)), *beats(NOW)]
    reader = Reader([written(tmp_path, log(*records))])

    read = [pair for batch in reader for pair in zip(*batch, strict=True)]

    assert [text for _, text in read] == [line(record) for record in records]
    assert (reader.files, reader.read, reader.skipped) == (1, 3001, 0)


@pytest.mark.parametrize(
    ("content", "found", "skipped"),
    [
        (b"", [], 0),
        (b"\n \n\r\n", [], 0),
        (WHOLE.replace(b"\n", b"\r\n"), ["whole"], 0),
        (WHOLE[:-1], ["whole"], 0),
        (WHOLE[:-2], [], 1),
        (WHOLE[:90] + WHOLE, ["whole"], 0),
        (b"proxy-1  | " + WHOLE, ["whole"], 0),
        (b"2026-11-24T00:00:00Z stdout F " + WHOLE, ["whole"], 0),
        (b"nonsense\n" + WHOLE + b"[]\nnull\n{}\n", ["whole"], 4),
        (b'{"event":"something","ts":"2026-11-24T00:00:00Z"}\n', [], 1),
        (WHOLE.replace(b'"ts":"2026', b'"ts":"26'), [], 1),
        (WHOLE.replace(b'"whole"', b"7"), [], 1),
        (WHOLE.replace(b"whole", b"\xff\xfe"), [], 1),
        (b"[" * 100_000 + b"\n" + WHOLE, ["whole"], 1),
        (WHOLE.replace(b'"whole"', b'"whole","of_a_later_version":{"outcome":1}'), ["whole"], 0),
        (WHOLE.replace(b'"forwarded"', b'"of_a_later_version"'), ["whole"], 0),
    ],
    ids=[
        "nothing",
        "blank lines",
        "CRLF",
        "no newline at the end",
        "cut off",
        "glued to a torn one",
        "from docker compose",
        "from a container runtime",
        "other lines",
        "another event",
        "a wrong time",
        "a caller that is a number",
        "bad UTF-8",
        "nested deeply",
        "an unknown field",
        "an unknown outcome",
    ],
)
def test_lines_that_are_not_records_are_skipped_and_counted(
    tmp_path: Path, content: bytes, found: list[str], skipped: int
) -> None:
    reader = Reader([written(tmp_path, content)])

    assert callers(reader) == found
    assert (reader.read, reader.skipped) == (len(found), skipped)


def test_a_record_inside_a_string_of_another_is_not_found(tmp_path: Path) -> None:
    spoof = line(call(caller="spoofed")).decode().strip()
    torn = line(call(user_agent=spoof))[:-20] + b"\n"

    assert callers(Reader([written(tmp_path, torn)])) == []


def test_fields_may_have_any_order(tmp_path: Path) -> None:
    moved = WHOLE.replace(b'{"event":"deprecated_call",', b"{").replace(b"}\n", b',"event":"deprecated_call"}\n')

    assert callers(Reader([written(tmp_path, moved)])) == ["whole"]


def test_compression_is_detected_by_content(tmp_path: Path) -> None:
    paths = [
        written(tmp_path, gzip.compress(WHOLE) + gzip.compress(WHOLE), "rotated.1"),
        written(tmp_path, WHOLE, "plain.gz"),
    ]

    assert callers(Reader(paths)) == ["whole"] * 3


@pytest.mark.parametrize("cut", [-9, -30, 12])
def test_broken_compression_is_reported_and_the_records_before_it_are_read(
    tmp_path: Path, cut: int, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = written(tmp_path, gzip.compress(WHOLE * 3000)[:cut], "broken.gz")
    intact = written(tmp_path, WHOLE)

    assert callers(Reader([broken, intact]))[-1:] == ["whole"]
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(f"trigger-shim: warning: compressed log broken path={broken}: ")


@pytest.mark.parametrize("content", [WHOLE, gzip.compress(WHOLE)], ids=["plain", "compressed"])
def test_a_dash_is_standard_input(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    assert callers(Reader(["-"])) == ["whole"]


@pytest.mark.parametrize("compress", [False, True])
def test_progress_adds_up_to_the_size_on_disk(tmp_path: Path, compress: bool) -> None:
    content = b"".join(line(call(request_id=os.urandom(16).hex())) for _ in range(5000))
    path = written(tmp_path, gzip.compress(content) if compress else content)
    told: list[int] = []

    for _ in Reader([path], told.append):
        pass

    assert sum(told) == size_on_disk([path, "-"]) == Path(path).stat().st_size
    assert len(told) > 2


def test_an_error_names_the_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(NoLog, match=r"gone\.jsonl: No such file"):
        list(Reader([str(tmp_path / "gone.jsonl")]))
    with pytest.raises(NoLog, match="Is a directory"):
        list(Reader([str(tmp_path)]))


# --- lines that are too long


@pytest.mark.parametrize("size", [1, 3, 7, 64])
@pytest.mark.parametrize(
    ("content", "lines", "left_out"),
    [
        (b"", [], 0),
        (b"a\nb", [b"a\n", b"b"], 0),
        (b"12345\nb\n", [b"12345\n", b"b\n"], 0),
        (b"123456\nb\n", [b"b\n"], 1),
        (b"a\n" + b"1" * 50 + b"\n\nb", [b"a\n", b"\n", b"b"], 1),
        (b"1" * 50, [], 1),
        (b"1" * 50 + b"\n" + b"2" * 50 + b"\nb\n", [b"b\n"], 2),
    ],
)
def test_long_lines_are_left_out(content: bytes, lines: list[bytes], left_out: int, size: int) -> None:
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    found = list(whole_lines(chunks, 6))

    assert [line for part, _ in found for line in part] == lines
    assert sum(long for _, long in found) == left_out


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("where", ["a file", "standard input"])
def test_a_line_of_more_than_a_mebibyte_is_skipped_with_a_warning(
    tmp_path: Path, compress: bool, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = WHOLE + bytes(LONGEST_LINE + 1) + b"\n" + WHOLE
    content = gzip.compress(content) if compress else content
    path = written(tmp_path, content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    path = path if where == "a file" else "-"
    reader = Reader([path])

    assert callers(reader) == ["whole"] * 2
    assert reader.skipped == 1
    assert capsys.readouterr().err == (
        f"trigger-shim: warning: long lines skipped path={path} lines=1: no record has more than 1 MiB\n"
    )


def test_a_long_line_is_not_kept_in_memory() -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(1 << 20)

    tracemalloc.start()
    try:
        assert sum(long for _, long in whole_lines(chunks(), 1 << 20)) == 1
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
