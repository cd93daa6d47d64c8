"""What is printed while a test runs. pytest's `capfd` loses lines that are printed at the moment when it is read."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def standard_error(folder: Path) -> Iterator[Path]:
    """A file in place of standard error while the block runs."""
    path = folder / "stderr"
    with path.open("a") as file, contextlib.redirect_stderr(file):
        yield path
