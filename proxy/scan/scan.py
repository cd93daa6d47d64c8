"""Examines files and folders that are named on the command line."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager

from proxy.scan.files import Examined, LeftOut, examine_all
from proxy.scan.finding import Confidence, Located
from proxy.scan.suppressions import MARK
from proxy.scan.walk import Walk

Advance = Callable[[int], None]


class Scan:
    """One pass over files and folders.

    Attributes:
        found: the findings, in the order of the files.
        problems: one sentence for each named path that could not be examined.
        warnings: one sentence for whatever else somebody should know.
        files, folders: how many were examined.
        left_out: how many entries were left out, by reason.
        suppressed: how many findings a comment suppresses.
        known: how many findings are in the baseline.
        changed: how many findings were changed, and are no longer among those that were found.
    """

    def __init__(self) -> None:
        self.found: list[Located] = []
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.files = self.folders = self.suppressed = self.known = self.changed = 0
        self.left_out: dict[str, int] = dict.fromkeys(LeftOut, 0)

    def examine(
        self,
        names: Iterable[str],
        exclude: Sequence[str] = (),
        own: Iterable[str] = (),
        progress: Callable[[int], AbstractContextManager[Advance]] | None = None,
    ) -> None:
        """Examine files, and all files in folders.

        Args:
            names: their paths.
            exclude: patterns of what to leave out.
            own: files of the scan itself, which are not examined.
            progress: shows how many of so many files are done.
        """
        walk = Walk(exclude, own)
        files = walk.files(names)
        self.folders, self.left_out = walk.folders, walk.left_out
        self.problems, self.warnings = walk.problems, walk.warnings
        try:
            with (progress or _silent)(len(files)) as advance:
                for file, examined in zip(files, examine_all(files, advance), strict=True):
                    self._add(os.path.normpath(file.path), examined)
        except BrokenProcessPool:
            self.problems.append(_DIED)

    def _add(self, file: str, examined: Examined) -> None:
        match examined:
            case LeftOut():
                self.left_out[examined] += 1
            case str():
                self.problems.append(examined)
            case _:
                self.files += 1
                self.suppressed += examined.suppressed
                self.found += [Located(file, finding) for finding in examined.findings]
                self.warnings += [f"{file}:{line}: {_UNEXPLAINED}" for line in examined.unexplained]

    def leave_out(self, known: Sequence[Located]) -> None:
        """Leave out findings that the baseline has."""
        left = set(map(id, known))
        self.found = [located for located in self.found if id(located) not in left]
        self.known += len(known)

    def name_callers(self, likely: Callable[[Located], tuple[str, ...]]) -> None:
        """Say of each call which callers it is likely to be."""
        self.found = [located._replace(callers=likely(located)) for located in self.found]

    def drop_notes(self) -> None:
        """Leave out what only helps to change calls, if there are none."""
        if not (self.calls or self.looks):
            self.found = []

    def count(self, *confidences: Confidence) -> int:
        """How many findings have one of these confidences."""
        return sum(located.finding.hit.confidence in confidences for located in self.found)

    @property
    def calls(self) -> int:
        """How many calls were found."""
        return self.count(Confidence.CERTAIN, Confidence.LIKELY)

    @property
    def looks(self) -> int:
        """How many findings are only something to look at."""
        return self.count(Confidence.LOOK)


_DIED = "a process that reads files has died, perhaps for lack of memory; not all files were examined"
_UNEXPLAINED = f"'{MARK}' needs a reason behind it, and suppresses nothing without one"


@contextlib.contextmanager
def _silent(_files: int) -> Iterator[Advance]:
    yield lambda _: None
