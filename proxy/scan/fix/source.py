"""The text of a file, and back to the same bytes."""

from typing import NamedTuple

_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"", "utf-8"),
)


class Source(NamedTuple):
    """The text of a file. Bytes that are not valid in its encoding are kept, as surrogates."""

    text: str
    mark: bytes
    encoding: str

    @classmethod
    def of(cls, content: bytes) -> "Source":
        """Decode a file by its byte order mark, or as UTF-8.

        Raises:
            UnicodeError: it is not what its mark says.
        """
        mark, encoding = next(known for known in _MARKS if content.startswith(known[0]))
        errors = "surrogateescape" if encoding == "utf-8" else "strict"
        return cls(content[len(mark) :].decode(encoding, errors), mark, encoding)

    def encode(self, text: str) -> bytes:
        """A text in the encoding of the file."""
        errors = "surrogateescape" if self.encoding == "utf-8" else "strict"
        return self.mark + text.encode(self.encoding, errors)


def newline_of(text: str) -> str:
    """How the lines of a text end."""
    return "\r\n" if "\r\n" in text else "\n"
