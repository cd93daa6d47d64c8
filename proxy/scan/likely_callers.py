"""Tells which callers in the log are likely to be a call in a file: those with the same repository and workflow."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from proxy.scan.finding import Located
from proxy.scan.methods import EITHER

_LITERAL = re.compile(r"(?:[\w.~@+ -]|%[0-9A-Fa-f]{2})+")
_ID = re.compile("id(?::|%3A)", re.IGNORECASE)


class Target(NamedTuple):
    """What a call is for. A value is None if the call does not have it, or if a file does not show it.

    Attributes:
        workflow: its name, decoded.
    """

    org: str | None = None
    repo: str | None = None
    repo_id: str | None = None
    workflow: str | None = None

    def may_be(self, other: "Target") -> bool:
        """Whether nothing tells this target, which may be incomplete, from another one."""
        return all(mine in {None, theirs} for mine, theirs in zip(self, other, strict=True))


class LikelyCallers:
    """Finds callers by what they call.

    Args:
        calls: name of the caller, endpoint and target of each call in the log.
    """

    def __init__(self, calls: Iterable[tuple[str, str, Target]]) -> None:
        self._calls: defaultdict[tuple[str, str | None], set[tuple[str, Target]]] = defaultdict(set)
        for caller, endpoint, target in calls:
            for key in {target.repo or target.repo_id, target.workflow}:
                self._calls[endpoint, key].add((caller, target))

    def of(self, located: Located) -> tuple[str, ...]:
        """The names of the callers that are likely to make a call, sorted."""
        hit = located.finding.hit
        endpoints = ("list_runs", "run_workflows") if hit.method == EITHER else (hit.endpoint,)
        target = _target(dict(hit.segments))
        key = target.repo or target.repo_id or target.workflow
        if key is None:
            return ()
        calls = (call for endpoint in endpoints for call in self._calls.get((endpoint, key), ()))
        return tuple(sorted({caller for caller, called in calls if target.may_be(called)}))


def _target(segments: Mapping[str, str]) -> Target:
    repo_id = segments.get("id:{repo_id}", "")
    name = _literal(segments.get("{workflow_name}", ""))
    return Target(
        _literal(segments.get("{org}", "")),
        _literal(segments.get("{repo}", "")),
        _literal(_ID.sub("", repo_id, count=1)),
        unquote(name) if name is not None else _literal(segments.get("{workflow}", "")),
    )


def _literal(segment: str) -> str | None:
    return segment if _LITERAL.fullmatch(segment) else None
