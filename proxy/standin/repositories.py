"""The repositories of the stand-in, and their runs."""

import gzip
import hashlib
from datetime import UTC, datetime
from typing import Any

REPOSITORIES = {"acme/shop": "42"}
"""Slugs and IDs of the initial repositories."""

NOTHING_TO_START = "nothing"
"""A workflow that does not exist: its run ends immediately and has no workflows."""

TASK, CUBE = "compile", "main"
"""The only task of every workflow, and its only cube."""

_STATUSES = ("created", "prepared", "processing", "success")


class Run:
    """A run that advances by one step each time it is shown."""

    def __init__(self, slug: str, names: list[str], user: str) -> None:
        self.slug = slug
        self.names = [name for name in names if name != NOTHING_TO_START]
        self._user = user
        self._step = 0 if self.names else len(_STATUSES) - 1
        self._created = datetime.now(UTC)

    @property
    def status(self) -> str:
        """Its current status."""
        return _STATUSES[self._step]

    @property
    def ended(self) -> bool:
        """Whether it has its final status."""
        return self._step == len(_STATUSES) - 1

    def show(self) -> dict[str, Any]:
        """The run in the published schema; afterwards it advances by one step."""
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
        """One of its workflows, with its tasks and cubes."""
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
    """The only artifact of a run: binary, and large enough to arrive in several pieces."""
    noise = hashlib.shake_256(run.encode()).digest(256 << 10)
    return gzip.compress(f"built by run {run}\n".encode() + noise, mtime=0)
