"""Keeps calls in progress in memory that survives a killed process.

A call gets its record in the caller log when it ends. So that a killed process loses none, a provisional record is
stored here before the call is forwarded, and removed once the final record is written. The next process to start
writes what is left here to the caller log.
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
"""Bytes for one record. Longer ones are shortened."""

_EMPTY, _TAKEN = 0, 1
_TEXT_LENGTHS = (256, 64, 16)
_CALLER_TEXTS = ("path", "successor", "org", "repo", "repo_id", "workflow", "run", "caller", "owner", "user_agent")
_BLOCK = _LONGEST_LINE = 1 << 20
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CallRecord).decode


class Journal:
    """The calls in progress of one process, in a file that the process keeps locked.

    Args:
        prefix: from `journal_prefix`; identifies the caller log that the records belong to.
        slots: maximum number of records.

    Raises:
        OSError: on construction, if the file cannot be created or there is no space for it.
    """

    def __init__(self, prefix: str, slots: int) -> None:
        self._file, path = tempfile.mkstemp(prefix=prefix, dir=memory_folder())  # mode 600
        self._path = Path(path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)  # first, because recovery ignores empty files
            os.posix_fallocate(self._file, 0, slots * SLOT)  # without space, writing to the memory is a SIGBUS
            self._memory = mmap.mmap(self._file, slots * SLOT)
        except BaseException:
            self._remove()
            raise
        self._slots = slots
        self._free = [slot * SLOT for slot in reversed(range(slots))]

    def begin(self, record: CallRecord) -> int | None:
        """Store the provisional record of a call that is about to be forwarded.

        Returns:
            The slot, for `end`; None if all slots are taken.
        """
        if not self._free:
            return None
        line = _encoded(record)
        slot = self._free.pop()
        self._memory[slot + 1 : slot + 1 + len(line)] = line
        self._memory[slot] = _TAKEN  # last, so that a record that was only half stored does not count
        return slot

    def end(self, slot: int | None) -> None:
        """Free the slot of a call whose final record is written."""
        if slot is not None:
            self._memory[slot] = _EMPTY
            self._free.append(slot)

    def close(self) -> None:
        """Remove the file, unless it still holds calls."""
        self._memory.close()
        if len(self._free) == self._slots:
            self._remove()
        else:
            os.close(self._file)

    def _remove(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def journal_prefix(log: str, listen: str) -> str:
    """The common prefix of the names of a log's journal files.

    Args:
        log: path of the caller log. Proxies that log to standard output are told apart by their address.
        listen: address that the proxy listens on.
    """
    where = f"{STDOUT} {listen}" if log == STDOUT else str(Path(log).resolve())
    return f"trigger-shim-{os.geteuid()}-{hashlib.sha256(where.encode()).hexdigest()[:16]}-"


def memory_folder() -> str:
    """A folder in shared memory if there is one: it outlives a process, and no disk can slow it down."""
    folder = "/dev/shm"  # noqa: S108 - our files there have random names and are private
    return folder if os.access(folder, os.W_OK) else tempfile.gettempdir()


def recover_interrupted(prefix: str, log: str) -> list[CallRecord]:
    """The provisional records of killed processes, oldest first. Removes their journals, so each is returned once.

    Args:
        prefix: from `journal_prefix`.
        log: path of the caller log. Calls whose final record is already there are left out.
    """
    lines = [line for path in Path(memory_folder()).glob(f"{prefix}*") for line in _take_lines(path)]
    logged = _already_logged(log, {_call_key(line) for line in lines})
    records = []
    for line in lines:
        if _call_key(line) not in logged:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                records.append(_decode(line))
    return sorted(records, key=lambda record: record.ts)


def _take_lines(path: Path) -> list[bytes]:
    """The records in a journal, which is then removed. Nothing if its process is still alive."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # another process took it first, or it is not ours
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
    """The record without its lists, and with texts that callers choose cut to a length."""
    short = {name: text[:length] for name in _CALLER_TEXTS if (text := getattr(record, name)) is not None}
    return msgspec.structs.replace(record, inputs=[], ignored_fields=[], **short)


def _call_key(line: bytes) -> bytes:
    """The first fields of a record, with its time and request ID: they identify the call."""
    return line[: line.find(b',"endpoint":')]


def _already_logged(log: str, wanted: set[bytes]) -> set[bytes]:
    """Those calls that have a record in the log. Reads backwards, because they can only be near its end."""
    found: set[bytes] = set()
    if not wanted or log == STDOUT:
        return found
    since = min(wanted)
    with contextlib.suppress(NoLog):
        for path in reversed(log_files(log)[-2:]):
            for lines in _lines_from_end(Path(path)):
                here = {_call_key(line) for line in lines if line}
                found |= here & wanted
                if here and all(line < since for line in here):
                    return found
    return found


def _lines_from_end(path: Path) -> Iterator[Iterable[bytes]]:
    """The lines of a file, in blocks from its end. Lines of more than 1 MiB are left out: they are not records."""
    with path.open("rb") as file:
        end, rest, is_in_long = file.seek(0, os.SEEK_END), b"", False
        while end > 0:
            begin = max(0, end - _BLOCK)
            file.seek(begin)
            rest, *lines = (file.read(end - begin) + rest).split(b"\n")
            if is_in_long and lines:
                del lines[-1]
                is_in_long = False
            if len(rest) > _LONGEST_LINE or is_in_long:
                rest, is_in_long = b"", True
            yield lines if begin else [rest, *lines]
            end = begin
