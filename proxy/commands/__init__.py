"""The commands of `trigger-shim`, one module each.

Each module that is listed in `COMMANDS` has:

- ``SUMMARY``: what the command does, for ``--help``.
- ``EPILOG``: the end of its ``--help``, with examples.
- ``USAGE_STATUS``, optional: the exit status for a wrong command line, if it is not `ExitStatus.USAGE`.
- ``add_arguments(parser)``: adds the command's arguments to an `argparse.ArgumentParser`.
- ``run(options) -> ExitStatus``: runs the command. Raises `CommandError` to end it with an error.
"""

COMMANDS = (
    *("serve", "reload", "health", "check", "lifecycle", "translate", "scan", "callers", "caller"),
    *("letters", "ledger", "fingerprint", "demo", "standin", "completion"),
)
"""The modules of commands, in the order of ``--help``."""
