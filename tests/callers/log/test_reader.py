import gzip
import io
import os
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from proxy.callers.log.envelope import LEFT_OUT
from proxy.callers.log.files import NoLog, size_on_disk
from proxy.callers.log.reader import LONGEST_LINE, Reader, whole_lines
from proxy.callers.record import Heartbeat, Record
from proxy.callers.report.doubts import unreadable_parts
from tests.callers.lines import DAY, NOW, beats, call, line, log

WHOLE = line(call(caller="whole"))


def callers(reader: Reader) -> list[str]:
    return [record.caller for records, _ in reader for record in records if not isinstance(record, Heartbeat)]


def places(reader: Reader, now: datetime = NOW) -> list[str]:
    """Where there may be calls that cannot be read, whenever they were written."""
    doubt = unreadable_parts(reader.unreadable, now, lambda _: 0)
    return doubt.reason.partition(" cannot be read: ")[2].partition(";")[0].split(", ") if doubt is not None else []


def last(reader: Reader, now: datetime = NOW) -> datetime | None:
    """When the last of them was written, at the latest."""
    doubt = unreadable_parts(reader.unreadable, now, lambda _: 0)
    return doubt.last if doubt is not None else None


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
        (WHOLE.replace(b'"forwarded"', b'"of_a_later_version"'), [], 1),
        (WHOLE.replace(b'"schema":1', b'"schema":2'), [], 1),
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
        "a later schema",
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
    ("content", "lines"),
    [
        (b"", []),
        (b"a\nb", [b"a\n", b"b"]),
        (b"12345\nb\n", [b"12345\n", b"b\n"]),
        (b"123456\nb\n", [LEFT_OUT, b"b\n"]),
        (b"a\n" + b"1" * 50 + b"\n\nb", [b"a\n", LEFT_OUT, b"\n", b"b"]),
        (b"1" * 50, [LEFT_OUT]),
        (b"1" * 50 + b"\n" + b"2" * 50 + b"\nb\n", [LEFT_OUT, LEFT_OUT, b"b\n"]),
    ],
)
def test_long_lines_are_left_out(content: bytes, lines: list[bytes], size: int) -> None:
    chunks = [content[start : start + size] for start in range(0, len(content), size)]

    found = list(whole_lines(chunks, 6))

    assert [line for part, _ in found for line in part] == lines
    assert not found or found[-1][1] == len(content)


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
        f"trigger-shim: warning: {path}: skipped 1 line of more than 1 MiB, which no record has\n"
    )
    assert places(reader) == [f"{path}:2"]


def test_a_long_line_is_not_kept_in_memory() -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(1 << 20)

    tracemalloc.start()
    try:
        assert [line for part, _ in whole_lines(chunks(), 1 << 20) for line in part] == [LEFT_OUT]
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# --- lines that may be calls

EARLIER, LATER = line(beats(NOW - 9 * DAY)[0]), line(beats(NOW - 5 * DAY)[0])
TORN = WHOLE[:30] + b"\n"


def test_a_line_that_may_be_a_call_is_counted_with_its_place(tmp_path: Path) -> None:
    content = EARLIER + b"a line of another program\n" + TORN + WHOLE + b"\0\0\0\n" + TORN + TORN + WHOLE
    path = written(tmp_path, content)
    reader = Reader([path])

    assert callers(reader) == ["whole"] * 2
    assert places(reader) == [f"{path}:3", f"{path}:5 and 2 more"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (WHOLE[:100] + b"\n" + LATER, NOW - DAY),
        (EARLIER + TORN + LATER, NOW - 5 * DAY),
        (LATER + TORN + EARLIER, NOW - 5 * DAY),
        (EARLIER + TORN[:-1] + LATER, NOW - 5 * DAY),
        (EARLIER + LATER[:-1] + b"\0\0\n" + WHOLE, NOW - DAY),
        (EARLIER + TORN + LATER.replace(b"2026", b"1970") + LATER, NOW - 5 * DAY),
        (WHOLE[:100].replace(b'"ts":"2026', b'"ts":"2036') + b"\n" + LATER, NOW - 5 * DAY),
        (TORN * 3, NOW - 2 * DAY),
        (EARLIER + TORN, NOW - 2 * DAY),
    ],
    ids=[
        "its own time",
        "the record after it",
        "the record before it",
        "a record at the end of its line",
        "and one at the beginning of its line is before it",
        "not a record of a wrong clock",
        "nor its own time by a wrong clock",
        "the last change of a file without records",
        "the last change of the file",
    ],
)
def test_a_line_that_may_be_a_call_is_dated(tmp_path: Path, content: bytes, expected: datetime) -> None:
    path = written(tmp_path, content)
    os.utime(path, ((NOW - 2 * DAY).timestamp(),) * 2)
    reader = Reader([path], latest=NOW + DAY)

    callers(reader)
    assert last(reader) == expected


def test_the_last_change_of_a_file_does_not_count_if_it_is_before_a_record_in_it(tmp_path: Path) -> None:
    path = written(tmp_path, EARLIER + TORN)
    os.utime(path, (0, 0))
    reader = Reader([path])

    callers(reader)
    assert last(reader) == NOW


def test_a_part_of_a_line_that_was_not_completed_may_be_a_call(tmp_path: Path) -> None:
    path = written(tmp_path, b"2026-11-24T08:00:00Z stdout P " + WHOLE[:-40] + b"\n")
    reader = Reader([path])

    assert callers(reader) == []
    assert places(reader) == [f"{path}:1"]


def test_the_rest_of_a_damaged_file_may_hold_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = b"".join(line(call(request_id=os.urandom(16).hex())) for _ in range(5000))
    path = written(tmp_path, gzip.compress(content)[:-1000])
    intact = written(tmp_path, WHOLE, "intact")
    reader = Reader([path, intact])

    found = callers(reader)
    assert 4000 < len(found) < 5000
    assert found[-1] == "whole"
    assert places(reader) == [f"the rest of {path}"]
    assert capsys.readouterr().err == f"trigger-shim: warning: {path}: only what comes before the damage was read\n"


def test_lines_are_numbered_from_the_first_one_of_the_file_though_a_part_is_in_another(tmp_path: Path) -> None:
    shared, different = log(*(call(request_id=str(number)) for number in range(9))), line(call(caller="different"))
    first = written(tmp_path, shared + WHOLE, "first")
    second = written(tmp_path, shared + different + TORN, "second")
    reader = Reader([first, second])

    assert callers(reader) == ["nightly"] * 9 + ["whole", "different"]
    assert places(reader) == [f"{second}:11"]
