"""Opens logs and reads their content: decompressed, and as UTF-8."""

import codecs
import contextlib
import functools
import importlib
import io
import itertools
import sys
import zlib
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, cast

from proxy.callers.log.files import STDIN, NoLog

CHUNK = 128 << 10
"""Bytes that are read at once."""

_ZSTD_PIECE = 256
"""Bytes that `zstandard` decompresses at once. They become 8 MiB at most: a block of 4 bytes can stand for 128 KiB."""

_ZSTD = ("compression.zstd", "zstandard")
_FORMATS: dict[bytes, Sequence[str]] = {
    b"\x1f\x8b": ("gzip",),
    b"BZh": ("bz2",),
    b"\xfd7zXZ\0": ("lzma",),
    b"\x28\xb5\x2f\xfd": _ZSTD,
    b"\x50\x2a\x4d\x18": _ZSTD,  # pzstd begins with a skippable frame
}
"""How each kind of compressed file begins, and the modules that can read it: a Python may lack any of them."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Damaged(Exception):
    """The content cannot be read any further. The message says why."""


@contextlib.contextmanager
def opened(path: str) -> Iterator[io.BufferedReader]:
    """Open a log; ``-`` is standard input.

    Raises:
        NoLog: it cannot be opened or read.
    """
    try:
        with _stream(path) as stream:
            yield stream
    except OSError as error:
        raise NoLog(f"{path}: {error.strerror or error}") from None


def chunks(stream: io.BufferedReader) -> Iterator[bytes]:
    """The content in order, in chunks of bounded size. Its encoding is detected, and how it is compressed.

    Raises:
        Damaged: the rest cannot be read.
        OSError: the file cannot be read.
    """
    content = _decompressed(stream)
    first = next(content, b"")
    content = itertools.chain([first], content)
    yield from _from_utf16(content) if first.startswith(_UTF16) else content


def is_plain(stream: io.BufferedReader) -> bool:
    """Whether the content is that of the file: neither compressed nor in another encoding."""
    return not stream.peek(8).startswith((*_FORMATS, *_UTF16))


def _stream(path: str) -> io.BufferedReader:
    if path == STDIN:
        return io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer), CHUNK)
    return io.BufferedReader(io.FileIO(path), CHUNK)


def _decompressed(stream: io.BufferedReader) -> Iterator[bytes]:
    begin = stream.peek(8)
    modules = next((modules for magic, modules in _FORMATS.items() if begin.startswith(magic)), None)
    if modules is None:
        yield from iter(functools.partial(stream.read1, CHUNK), b"")
        return
    module = _first_installed(modules)
    try:
        yield from _decompress(module, stream)
    except _errors(module):
        raise Damaged("only what comes before the damage was read") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise Damaged("only what comes before the damage was read") from None


def _first_installed(names: Sequence[str]) -> ModuleType:
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise Damaged(f"nothing was read: install {names[-1]}")


def _errors(module: ModuleType) -> tuple[type[Exception], ...]:
    own = [getattr(module, name) for name in ("LZMAError", "ZstdError") if hasattr(module, name)]
    return (EOFError, zlib.error, *own)


def _decompress(module: Any, stream: io.BufferedReader) -> Iterator[bytes]:
    if module.__name__ == "zstandard":
        yield from _zstd_frames(module, stream)
    else:
        yield from iter(functools.partial(module.open(stream).read1, CHUNK), b"")


def _zstd_frames(zstandard: Any, stream: io.BufferedReader) -> Iterator[bytes]:
    """The content of all frames. The library's own file objects do not notice if the last one is incomplete."""
    frame = None
    while piece := stream.read1(_ZSTD_PIECE):
        while piece:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(piece)
            piece = frame.unused_data
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError


def _from_utf16(content: Iterator[bytes]) -> Iterator[bytes]:
    # As PowerShell's redirection writes it. What is no text becomes invalid UTF-8, which the reader reports.
    decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
    for chunk in content:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
