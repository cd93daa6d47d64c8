"""Known findings, in a file: a scan with it shows only what is new."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from proxy.scan.finding import Located


class BaselineError(Exception):
    """A baseline cannot be read or written; the message says why."""


class _Known(msgspec.Struct):
    """A finding in the file. People read the other fields; only the fingerprint counts."""

    file: str
    endpoint: str
    found: str
    fingerprint: str


class _Baseline(msgspec.Struct):
    findings: list[_Known]


def fingerprints(found: Iterable[Located], folder: Path) -> Iterator[str]:
    """What identifies each finding, wherever in its file it stands.

    Args:
        found: the findings.
        folder: the paths of files count relative to it.
    """
    occurrences: Counter[str] = Counter()
    for file, finding, _ in found:
        key = f"{_relative(file, folder)}\0{finding.hit.endpoint}\0{finding.found}"
        digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:16]
        occurrences[digest] += 1
        yield f"{digest}:{occurrences[digest]}"


def _relative(file: str, folder: Path) -> str:
    return os.path.relpath(os.path.realpath(file), os.path.realpath(folder)).replace(os.sep, "/")


def read(path: str) -> set[str]:
    """Read the fingerprints of a baseline.

    Raises:
        BaselineError: it cannot be read, or is not a baseline.
    """
    try:
        baseline = msgspec.json.decode(Path(path).read_bytes(), type=_Baseline)
    except OSError as error:
        raise BaselineError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BaselineError(f"{path}: not a baseline of scan: {error}; write it with --write-baseline") from None
    return {known.fingerprint for known in baseline.findings}


def known(found: list[Located], path: str, marks: set[str]) -> list[Located]:
    """The findings that a baseline has."""
    own = fingerprints(found, Path(path).parent)
    return [located for located, mark in zip(found, own, strict=True) if mark in marks]


def write(found: list[Located], path: str) -> None:
    """Write a baseline, in place of the old one.

    Raises:
        BaselineError: it cannot be written.
    """
    folder = Path(path).parent
    known = [
        _Known(_name(_relative(file, folder)), finding.hit.endpoint, finding.found, mark)
        for (file, finding, _), mark in zip(found, fingerprints(found, folder), strict=True)
    ]
    text = msgspec.json.format(msgspec.json.encode(_Baseline(known)), indent=2) + b"\n"
    temporary = Path(f"{path}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BaselineError(f"{path}: {error.strerror}") from None


def _name(file: str) -> str:
    return os.fsencode(file).decode("utf-8", "backslashreplace")
