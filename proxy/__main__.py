"""The command `trigger-shim`. It holds signals before it imports anything that takes time."""

import sys

from proxy import signals


def main() -> int:
    """Run one command and return its exit status."""
    signals.hold()
    from proxy import cli  # noqa: PLC0415

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
