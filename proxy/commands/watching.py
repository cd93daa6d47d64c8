"""Redraws a report on the terminal whenever the ledger has changed."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any, TextIO

from proxy.callers.ledger import engines
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.files import NoLog
from proxy.output import terminal
from proxy.output.terminal import Draw

INTERVAL = 1.0
"""Seconds between two looks at the ledger."""

LIFE = 9
"""A report stays for so many times its own time, so that watching takes at most a tenth of a core."""

_MINUTE = 60


def watch(address: str, draw: Draw) -> None:
    """Show reports until Ctrl-C: a new one after a change, in a window of another size, and each minute.

    Args:
        address: of the ledger.
        draw: writes a report to a stream, in so many lines.

    Raises:
        LedgerUnavailable: the library for this ledger is not installed.
    """
    with contextlib.suppress(KeyboardInterrupt), terminal.screens(sys.stdout) as show:
        shown: Any = None
        for state in _states(address):
            if state != shown:
                shown, begun = state, monotonic()
                show(lambda out, lines: _draw_or_say_why_not(draw, out, lines))
                sleep(max(INTERVAL, LIFE * (monotonic() - begun)))
            else:
                sleep(INTERVAL)


def _states(address: str) -> Iterator[Any]:
    """What a report depends on, again and again."""
    with contextlib.closing(Ledger(engines.connect(address, is_readonly=True))) as ledger:
        while True:
            yield monotonic() // _MINUTE, _progress(ledger), shutil.get_terminal_size()


def _progress(ledger: Ledger) -> Any:
    try:
        return ledger.progress()
    except LedgerUnavailable as problem:
        return str(problem)


def _draw_or_say_why_not(draw: Draw, out: TextIO, lines: int) -> None:
    try:
        draw(out, lines)
    except NoLog as problem:
        terminal.show_line(out, f"{problem}. It is tried again; press Ctrl-C to end.")
