"""Runs several command lines in one process, each in a fork: importing takes longer than most of them.

Called with the encoding of the process in its environment, with a folder, in which ``lines.json`` has the words and
the standard input of each command line. The exit statuses are printed; ``N.out`` and ``N.err`` have the output.
"""

import contextlib
import gc
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from proxy import __main__
from proxy.commands import COMMANDS


def main(folder: Path) -> None:
    for command in COMMANDS:
        importlib.import_module(f"proxy.commands.{command}")
    gc.freeze()  # or each fork would copy what its search for garbage looks at
    statuses = []
    for number, (words, text) in enumerate(json.loads((folder / "lines.json").read_text(encoding="ascii"))):
        (folder / f"{number}.in").write_bytes(text.encode())
        pid = os.fork()
        if pid == 0:
            _run(folder / str(number), words)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os.write(1, json.dumps(statuses).encode())


def _run(files: Path, words: list[str]) -> NoReturn:
    """Run a command as the interpreter would, and exit."""
    for descriptor, suffix in enumerate((".in", ".out", ".err")):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(files.with_suffix(suffix), flags), descriptor)
    # Words come in as they would from a shell, in the encoding of this process.
    sys.argv[1:] = [os.fsdecode(word.encode()) for word in words]
    status = 1
    try:
        status = __main__.main()
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(Path(os.fsdecode(sys.argv[1])))
