"""Whether the meaning of a call hangs on what a variable holds when it is made."""

import json
import re
from typing import Any

from proxy.calls.call import Call

_DYNAMIC = re.compile(r"\$[\w({$]|\{\{|%\w+%")
_BRANCH = re.compile(r"branch|ref_?name|head_?ref", re.IGNORECASE)
_TAGS = "tags:"
_MAY_BE_COMMIT = re.compile(r"[0-9a-fA-F]{0,40}")


def caution(call: Call) -> str | None:
    """Why the new call may not mean the same, if so: a revision that is in a variable can be of any kind."""
    unknown = [call.shown(revision) for revision in _revisions(call) if not _is_known(revision, call)]
    return f"{', '.join(unknown)}: taken for a branch; it may hold tags:NAME or a commit" if unknown else None


def join(*cautions: str | None) -> str | None:
    """Several cautions as one."""
    return "; ".join(filter(None, cautions)) or None


def _revisions(call: Call) -> list[str]:
    try:
        body: Any = json.loads(call.body or "{}")
    except (ValueError, RecursionError):
        return []
    found = [body.get(name) for name in ("revision", "workflow_revision", "workflowRevision")]
    return [revision for revision in found if isinstance(revision, str)]


def _is_known(revision: str, call: Call) -> bool:
    variable = next((at for at, char in enumerate(revision) if char in call.variables), None)
    template = _DYNAMIC.search(revision)
    first = min([at for at in (variable, template.start() if template else None) if at is not None], default=None)
    if first is None or _BRANCH.search(call.shown(revision)):
        return True
    literal = revision[:first]
    return not ((_TAGS.startswith(literal) and literal != _TAGS) or _MAY_BE_COMMIT.fullmatch(literal))
