import pytest

from proxy.scan.fix.source import Source, newline_of


@pytest.mark.parametrize(
    "content",
    [
        b"plain\n",
        b"\xef\xbb\xbfwith a mark",
        "żółw\r\n".encode(),
        "привет".encode("cp1251"),
        b"\xff\xfe" + "utf-16".encode("utf-16-le"),
        b"\xfe\xff" + "utf-16".encode("utf-16-be"),
        b"\xff\xfe\x00\x00" + "utf-32".encode("utf-32-le"),
        b"",
    ],
)
def test_every_byte_is_kept(content: bytes) -> None:
    source = Source.of(content)
    assert source.encode(source.text) == content
    assert "\ufeff" not in source.text


def test_a_file_that_is_not_what_its_mark_says_is_refused() -> None:
    with pytest.raises(UnicodeError):
        Source.of(b"\xff\xfea")


def test_lines_end_as_most_editors_take_it() -> None:
    assert (newline_of("a\r\nb"), newline_of("a\nb"), newline_of("")) == ("\r\n", "\n", "\n")
