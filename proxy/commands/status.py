"""How a command ends."""

import enum


class ExitStatus(enum.IntEnum):
    """What a command returns to the shell.

    Attributes:
        OK: it did what it was asked to do.
        FAILED: it could not, or somebody still calls (`callers --fail-if-active`).
        USAGE: the command line or the configuration is wrong.
        FOUND: `scan` found withdrawn calls. A wrong command line of `scan` is FAILED, so that a pipeline can tell the
            two apart.
        CANNOT_TELL: the log does not show whether somebody still calls (`callers --fail-if-active`).
        INTERRUPTED: Ctrl-C ended it: 128 plus the number of SIGINT.
    """

    OK = 0
    FAILED = 1
    USAGE = 2
    FOUND = 2
    CANNOT_TELL = 3
    INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot do its work.

    Attributes:
        status: how it ends.
        problems: what is wrong, one line each.
    """

    def __init__(self, status: ExitStatus, *problems: str) -> None:
        super().__init__(*problems)
        self.status = status
        self.problems = problems
