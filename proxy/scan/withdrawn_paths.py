"""Judges paths with ``/cicd/``, which withdrawn and current calls, files and other services have in common."""

import re
from collections.abc import Callable, Iterator, Sequence

from proxy.scan.addresses import Call
from proxy.scan.expressions import Part, Segment
from proxy.scan.finding import Confidence

FOLDERS = frozenset(
    "app bin build builds code data etc go home lib media mnt opt proc root run src srv sys tmp usr var workspace Users"
    " Volumes".split()
)
"""First segments of paths of files."""
_FOLDER = re.compile(r"home|pwd|cwd|dir(?![a-z])|directory|folder|workspace", re.IGNORECASE)
_REPOS = re.compile("[rR]epos(?![a-z])|REPOS(?![A-Z])")
_OTHER_API = re.compile(r"api|rest|v\d+|apis", re.IGNORECASE)
_WHOLE_REPOSITORY = re.compile(r"github\.repository(?!\w)|GITHUB_REPOSITORY(?!_)|CI_PROJECT_PATH(?!_)")
"""Variables of pipelines that hold organization and repository."""
_REPOSITORY = re.compile("repo|project_?path|slug|full_?name", re.IGNORECASE)


def cicd_confidence(call: Call, key: int, method: Callable[[], str | None]) -> Confidence | None:
    """How sure it is that ``…/cicd/…`` is withdrawn; None if it is current, a file, an import, or another service's.

    Args:
        call: the call.
        key: index of ``cicd`` in its segments.
        method: finds the method on its line.
    """
    before = call.before(key)
    if call.is_elsewhere or any(part.is_dynamic and _REPOS.search(part.text) for part in _parts(call, key)):
        return None
    if any(_OTHER_API.fullmatch(segment.word) for segment in before):
        return None
    if call.is_service:
        return _on_service(before)
    if len(before) < 2:
        return Confidence.LOOK if _may_hold_repository(call, key) else None
    if not _is_withdrawn(call, key, method):
        return None
    return Confidence.LOOK if call.is_internal else Confidence.LIKELY


def _on_service(before: Sequence[Segment]) -> Confidence | None:
    if len(before) == 1 and before[0].is_dynamic:
        return Confidence.CERTAIN if _WHOLE_REPOSITORY.search(before[0].text) else Confidence.LIKELY
    return Confidence.CERTAIN if len(before) == 2 else None


def _may_hold_repository(call: Call, key: int) -> bool:
    """Whether a variable may hold organization and repository, or all that comes before ``cicd``."""
    last = call.expression.segments[key - 1] if key else None
    if last is None or not last.is_dynamic or call.is_internal:
        return False
    return bool(_REPOSITORY.search(last.text))


def _is_withdrawn(call: Call, key: int, method: Callable[[], str | None]) -> bool:
    before = call.before(key)
    first = call.expression.segments[0]
    if (not call.is_based and first.word in FOLDERS) or (first.is_dynamic and _FOLDER.search(first.text)):
        return False
    if before[-1].is_dynamic and before[-2].is_dynamic:
        return len(before) == 2 or before[-3].is_dynamic
    if len(before) == 3 and not call.is_based and before[0].is_dynamic:
        return before[-1].is_dynamic or before[-2].is_dynamic or method() is not None
    if len(before) > 2:
        return False
    if call.is_based or before[-1].is_dynamic or before[-2].is_dynamic:
        return True
    return call.expression.is_rooted or method() is not None


def _parts(call: Call, key: int) -> Iterator[Part]:
    segments = call.expression.segments[:key]
    for segment in (call.expression.authority, *segments):
        if segment is not None:
            yield from segment.parts
