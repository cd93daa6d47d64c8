"""Changes the files of a scan, or shows how."""

import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from proxy.output.formatting import printable
from proxy.scan.finding import Confidence, Located
from proxy.scan.fix.change import Refusal
from proxy.scan.fix.guard import Guard
from proxy.scan.fix.patch import patch
from proxy.scan.fix.plan import Outcome, Plan, plan
from proxy.scan.fix.write import NotWritten, replace
from proxy.scan.render import name
from proxy.scan.scan import Scan


def plans(scan: Scan, *, unsafe: bool) -> Iterator[Plan]:
    """A plan for each file with findings, apart from those that are no calls and only help to change calls."""
    found = (located for located in scan.found if located.finding.hit.confidence is not Confidence.NOTE)
    for file, of_file in groupby(found, key=lambda located: located.file):
        located = list(of_file)
        try:
            yield plan(Path(file).read_bytes(), file, located, unsafe=unsafe)
        except OSError as error:
            refusal = Refusal(f"the file cannot be read: {error.strerror}")
            yield Plan(file, b"", b"", [Outcome(one, None, refusal) for one in located])


# --- as a patch


def diff(scan: Scan, out: BinaryIO) -> None:
    """Write a patch, with comments on what is not in it, and on what is changed by ``--unsafe`` only."""
    for each in plans(scan, unsafe=True):
        out.write("".join(f"# {line}\n" for line in _comments(each)).encode("utf-8", "replace"))
        out.write(patch(each.file, each.content, each.new_content))
    out.flush()


def _comments(each: Plan) -> Iterator[str]:
    told = set()
    for located, change, refusal in each.outcomes:
        if change is None:
            yield f"{_place(located)}: not changed: {printable(refusal.reason)}"
            new = refusal.new_call or _successor(located)
            yield from (f"    {printable(line)}" for line in textwrap.dedent(new).split("\n"))
        elif change.caution and id(change) not in told:
            told.add(id(change))
            yield f"{_place(located)}: --fix makes this change only with --unsafe: {printable(change.caution)}"


def _successor(located: Located) -> str:
    hit = located.finding.hit
    workflow = dict(hit.segments).get("{workflow_name}")
    body = f' with the body {{"workflows": [{{"name": "{workflow}"}}]}}' if workflow else ""
    return f"{hit.replacement}{body}"


# --- in place


def fix(scan: Scan, *, unsafe: bool, force: bool) -> Iterator[str]:
    """Change the files, and say in a line for each finding what became of it. What was changed leaves the scan."""
    guard = Guard()
    changed: set[int] = set()
    for each in plans(scan, unsafe=unsafe):
        problem = _written(each, guard, force=force) if each.new_content != each.content else None
        for outcome in each.outcomes:
            if outcome.change is not None and problem is None:
                changed.add(id(outcome.located))
                yield f"{_place(outcome.located)}: changed: {printable(outcome.located.finding.hit.replacement)}"
            else:
                reason = outcome.refusal.reason if outcome.change is None else problem
                yield f"{_place(outcome.located)}: not changed: {printable(reason or '')}"
    scan.found = [located for located in scan.found if id(located) not in changed]
    scan.changed = len(changed)


def _written(each: Plan, guard: Guard, *, force: bool) -> str | None:
    """Why a file was not written, if it was not."""
    if not force and (problem := guard.problem(each.file, each.content)):
        return problem
    try:
        replace(each.file, each.content, each.new_content)
    except NotWritten as error:
        return str(error)
    return None


def _place(located: Located) -> str:
    return f"{printable(name(located.file))}:{located.finding.line}:{located.finding.column}"
