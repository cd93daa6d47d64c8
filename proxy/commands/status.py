"""Exit statuses, and the error that ends a command."""

import enum


class ExitStatus(enum.IntEnum):
    """What a command returns to the shell.

    Attributes:
        OK: the command worked.
        FAILED: it did not, or, with a gate of `callers`, somebody still calls.
        USAGE: the command line or the configuration is wrong.
        FOUND: `scan` found withdrawn calls. For `scan` a wrong command line is FAILED, so that a pipeline can tell it
            from a finding.
        LOOK: `scan` found no call, but something that somebody has to look at.
        CANNOT_TELL: with a gate of `callers`, the log does not show whether somebody still calls.
        INTERRUPTED: Ctrl-C: 128 plus the number of SIGINT.
    """

    OK = 0
    FAILED = 1
    USAGE = 2
    FOUND = 2
    LOOK = 3
    CANNOT_TELL = 3
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends a command with an error.

    Attributes:
        status: the exit status.
        problems: messages for standard error, one line each.
    """

    def __init__(self, status: ExitStatus, *problems: str) -> None:
        super().__init__(*problems)
        self.status = status
        self.problems = problems
