"""Brings together what the log says of callers and what a scan finds in files."""

from collections.abc import Iterator, Sequence

from proxy.callers.render.profile import Place
from proxy.callers.report.analysis import Analysis
from proxy.commands.status import CommandError, ExitStatus
from proxy.output import messages, terminal
from proxy.scan import render
from proxy.scan.likely_callers import LikelyCallers, Target
from proxy.scan.scan import Scan


def targets(analysis: Analysis) -> Iterator[tuple[str, str, Target]]:
    """What each caller calls: its name, the endpoint and the target."""
    for caller, detail in analysis.details.items():
        for endpoint, *target in detail.uses:
            yield caller, str(endpoint), Target(*target)


def places(caller: str, analysis: Analysis, sources: Sequence[str]) -> list[Place]:
    """Where in some files and folders a caller is likely to make its calls.

    Raises:
        CommandError: one of them cannot be read.
    """
    likely = LikelyCallers(target for target in targets(analysis) if target[0] == caller)
    scan = Scan()
    scan.examine(sources, progress=terminal.file_progress)
    for warning in scan.warnings:
        messages.warning(warning)
    if scan.problems:
        raise CommandError(ExitStatus.FAILED, *scan.problems)
    return [
        Place(render.name(located.file), located.finding.line, located.finding.hit.endpoint, located.finding.found)
        for located in scan.found
        if likely.of(located)
    ]
