"""The commands of `trigger-shim`, one module each.

Each module that `proxy.cli.COMMANDS` names has:

- ``SUMMARY``: what the command does, for ``--help``.
- ``EPILOG``: the end of its ``--help``: an example, and its exit statuses where they are its own.
- ``USAGE_STATUS``: the exit status for a wrong command line, where it is not `ExitStatus.USAGE`.
- ``add_arguments(parser)``: adds its arguments to an `argparse.ArgumentParser`.
- ``run(options) -> ExitStatus``: does its work, and raises `CommandError` if it cannot.
"""
