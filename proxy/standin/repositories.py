"""What the stand-in holds: repositories, and their runs."""

import gzip
import hashlib
from datetime import UTC, datetime
from typing import Any

REPOSITORIES = {"acme/shop": "42"}
"""Slugs and IDs of the repositories that exist at first."""

NOTHING_TO_START = "nothing"
"""The name of a workflow that does not exist in the configuration: its run ends at once, with no workflow in it."""

TASK, CUBE = "compile", "main"
"""The one task of every workflow, and the one cube of that."""

_STATUSES = ("created", "prepared", "processing", "success")


class Run:
    """A run that gets one step further each time it is looked at."""

    def __init__(self, slug: str, names: list[str], user: str) -> None:
        self.slug = slug
        self.names = [name for name in names if name != NOTHING_TO_START]
        self._user = user
        self._step = 0 if self.names else len(_STATUSES) - 1
        self._created = datetime.now(UTC)

    @property
    def status(self) -> str:
        """How far it is."""
        return _STATUSES[self._step]

    @property
    def ended(self) -> bool:
        """Whether it will get no further."""
        return self._step == len(_STATUSES) - 1

    def seen(self) -> dict[str, Any]:
        """The run as it is now, in the published schema; the next look finds it further."""
        shown = {
            "id": "",
            "slug": self.slug,
            "status": self.status,
            "workflows": [self.workflow(name) for name in self.names] if self._step else [],
            "dates": {"created_at": self._created.isoformat(), "updated_at": datetime.now(UTC).isoformat()},
            "event_type": "manual",
            "error_messages": [],
            "user": {"id": "u-1", "slug": self._user},
        }
        self._step = min(self._step + 1, len(_STATUSES) - 1)
        return shown

    def workflow(self, name: str) -> dict[str, Any]:
        """One of its workflows, down to the cubes."""
        cube = {"id": "", "slug": CUBE, "status": self.status}
        task = {"id": "", "slug": TASK, "status": self.status, "cubes": [cube]}
        return {"id": "", "slug": name, "status": self.status, "tasks": [task]}


class Repository:
    """A repository and its runs, oldest first."""

    def __init__(self, slug: str, id_: str) -> None:
        self.slug = slug
        self.id = id_
        self.description = ""
        self.deleted = False
        self.runs: list[Run] = []

    def start(self, workflows: list[str], user: str) -> Run:
        """Start a run."""
        self.runs.append(Run(str(len(self.runs) + 1), workflows, user))
        return self.runs[-1]


def artifact(run: str) -> bytes:
    """What the one artifact of a run holds: so many bytes that they come in several pieces, and no text."""
    noise = hashlib.shake_256(run.encode()).digest(256 << 10)
    return gzip.compress(f"built by run {run}\n".encode() + noise, mtime=0)
