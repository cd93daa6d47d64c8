"""What is about to be forwarded, in memory that outlives the process.

A record is written when a call is over, so a process that is killed leaves none of the calls that it had under way.
Before a call is forwarded, the record that it has if nothing better comes goes into a slot here, and out of it again
once its own is written. What is found here afterwards, whoever starts next writes into the caller log.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from proxy.callers.log.files import STDOUT, NoLog, log_files
from proxy.callers.record import CallRecord

SLOT = 2048
"""Bytes for one intent; what is longer is cut."""

_EMPTY, _TAKEN = 0, 1
_TEXT_LENGTHS = (256, 64, 16)
_CALLER_TEXTS = ("path", "successor", "org", "repo", "repo_id", "workflow", "run", "caller", "owner", "user_agent")
_BLOCK = 1 << 20
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CallRecord).decode


class Journal:
    """The intents of one process, in a file that it holds locked while it lives.

    Args:
        name: of the log that they belong to, as `journal_prefix` has it.
        slots: how many there may be at once.

    Raises:
        OSError: on construction, where there is no such place, or no room in it.
    """

    def __init__(self, name: str, slots: int) -> None:
        self._file, path = tempfile.mkstemp(prefix=name, dir=memory_folder())  # mode 600
        self._path = Path(path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)  # before it has a size: what has none is not looked at
            os.posix_fallocate(self._file, 0, slots * SLOT)  # or a write could find no room, which is a SIGBUS
            self._memory = mmap.mmap(self._file, slots * SLOT)
        except BaseException:
            self._remove()
            raise
        self._slots = slots
        self._free = [slot * SLOT for slot in reversed(range(slots))]

    def begin(self, record: CallRecord) -> int | None:
        """Say that a call is about to be forwarded.

        Returns:
            The slot to end it with; None where all of them are taken.
        """
        if not self._free:
            return None
        line = _encoded(record)
        slot = self._free.pop()
        self._memory[slot + 1 : slot + 1 + len(line)] = line
        self._memory[slot] = _TAKEN  # only now: what is half written was not forwarded
        return slot

    def end(self, slot: int | None) -> None:
        """Say that a call has its record."""
        if slot is not None:
            self._memory[slot] = _EMPTY
            self._free.append(slot)

    def close(self) -> None:
        """Remove it, unless a call is left."""
        self._memory.close()
        if len(self._free) == self._slots:
            self._remove()
        else:
            os.close(self._file)

    def _remove(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def journal_prefix(log: str, listen: str) -> str:
    """The beginning of the names of a log's journals.

    Args:
        log: where it is; of standard output there is one for each address to listen on.
        listen: that address.
    """
    where = f"{STDOUT} {listen}" if log == STDOUT else str(Path(log).resolve())
    return f"trigger-shim-{os.geteuid()}-{hashlib.sha256(where.encode()).hexdigest()[:16]}-"


def memory_folder() -> str:
    """A folder in memory, where the system has one: it outlives a process, and no disk can slow it down."""
    folder = "/dev/shm"  # noqa: S108 - names in it are made up, and nobody else may read them
    return folder if os.access(folder, os.W_OK) else tempfile.gettempdir()


def recover_interrupted(name: str, log: str) -> list[CallRecord]:
    """The records of calls that processes had under way when they were killed; they are given once.

    Args:
        name: as `journal_prefix` has it.
        log: where the caller log is; what it has a record of already, was written but not ended.
    """
    intents = [line for path in Path(memory_folder()).glob(f"{name}*") for line in _take_intents(path)]
    written = _already_logged(log, {_call_key(line) for line in intents})
    records = []
    for line in intents:
        if _call_key(line) not in written:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                records.append(_decode(line))
    return sorted(records, key=lambda record: record.ts)


def _take_intents(path: Path) -> list[bytes]:
    """What a journal holds, which is removed, unless its process lives."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # another has taken it, or it is not ours
        return []
    try:
        status = os.fstat(file)
        if status.st_uid != os.geteuid() or status.st_size == 0:
            return []
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        content = os.pread(file, status.st_size, 0)
    except (BlockingIOError, FileNotFoundError):
        return []
    finally:
        os.close(file)
    slots = (content[at : at + SLOT] for at in range(0, len(content), SLOT))
    return [slot[1:].partition(b"\n")[0] for slot in slots if slot[0] == _TAKEN]


def _encoded(record: CallRecord) -> bytes:
    line = _encode(record)
    for length in _TEXT_LENGTHS:
        if len(line) <= SLOT - 2:
            break
        line = _encode(_shortened(record, length))
    return line + b"\n"


def _shortened(record: CallRecord, length: int) -> CallRecord:
    """The record with nothing of what callers make up longer than that, and without lists."""
    short = {name: text[:length] for name in _CALLER_TEXTS if (text := getattr(record, name)) is not None}
    return msgspec.structs.replace(record, inputs=[], ignored_fields=[], **short)


def _call_key(line: bytes) -> bytes:
    """What tells a record from every other: its first fields, up to time and request id."""
    return line[: line.find(b',"endpoint":')]


def _already_logged(log: str, wanted: set[bytes]) -> set[bytes]:
    """Those that have a record in the log, of which the last lines are read: they cannot be far from its end."""
    found: set[bytes] = set()
    if not wanted or log == STDOUT:
        return found
    since = min(wanted)
    with contextlib.suppress(NoLog):
        for path in reversed(log_files(log)[-2:]):
            for lines in _lines_from_end(Path(path)):
                here = {_call_key(line) for line in lines}
                found |= here & wanted
                if all(line < since for line in here):
                    return found
    return found


def _lines_from_end(path: Path) -> Iterator[Iterable[bytes]]:
    """Lines of a file, block by block from its end."""
    with path.open("rb") as file:
        end, rest = file.seek(0, os.SEEK_END), b""
        while end > 0:
            begin = max(0, end - _BLOCK)
            file.seek(begin)
            rest, *lines = (file.read(end - begin) + rest).split(b"\n")
            yield lines if begin else [rest, *lines]
            end = begin
