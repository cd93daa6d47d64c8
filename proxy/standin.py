"""The successor's API in memory, for the demo and the tests; `serve` never uses it.

It knows the repository ``acme/shop``, whose ID is 42, takes any token, and refuses whatever the published schema does
not have. Withdrawn endpoints get 410, so that a proxy that only passes through is caught.

``python -m proxy.standin --listen 127.0.0.1:9000`` serves it alone.
"""

import argparse
import itertools
import re
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from proxy.config import Address
from proxy.gateway import server
from proxy.withdrawn import endpoints
from proxy.withdrawn.trigger import GitRevision

REPOSITORIES = {"acme/shop": "42"}
"""Slugs and IDs of the repositories that exist."""

NOTHING_TO_START = "nothing"
"""The name of a workflow that does not exist in the configuration: its run ends at once, with no workflow in it."""

_REPOSITORY = r"/repos/(?P<repository>id:[^/]+|[^/]+/[^/]+)/cicd"
_STATUSES = ("created", "prepared", "processing", "success")


class Value(msgspec.Struct, forbid_unknown_fields=True):
    """An input of a workflow."""

    name: str
    value: str


class Workflow(msgspec.Struct, forbid_unknown_fields=True):
    """A workflow to run."""

    name: str
    values: list[Value] = []


class RunWorkflowsBody(msgspec.Struct, forbid_unknown_fields=True):
    """What starts a run (API.md, section 2)."""

    workflows: list[Workflow] = []
    head: GitRevision | None = None
    config_revision: GitRevision | None = None
    shared: bool = False


class Received(NamedTuple):
    """A request as it came in."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Run:
    """A run that gets one step further each time it is looked at."""

    def __init__(self, slug: str, names: list[str], user: str) -> None:
        self.slug = slug
        self.names = [name for name in names if name != NOTHING_TO_START]
        self._user = user
        self._step = 0 if self.names else len(_STATUSES) - 1
        self._created = datetime.now(UTC)

    def seen(self) -> dict[str, Any]:
        """The run as it is now, in the published schema; the next look finds it further."""
        status = _STATUSES[self._step]
        self._step = min(self._step + 1, len(_STATUSES) - 1)
        workflows = [{"id": "", "slug": name, "status": status} for name in self.names]
        return {
            "id": "",
            "slug": self.slug,
            "status": status,
            "workflows": workflows if status != "created" else [],
            "dates": {"created_at": self._created.isoformat(), "updated_at": datetime.now(UTC).isoformat()},
            "event_type": "manual",
            "error_messages": [],
            "user": {"id": "u-1", "slug": self._user},
        }


class StandIn:
    """The ASGI application.

    Attributes:
        received: every request, oldest first.
        answers: status and body of the answer to each.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[str] = []
        self._runs: dict[str, list[Run]] = {slug: [] for slug in REPOSITORIES}
        self._counter = itertools.count(1)
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Response]]] = [
            ("POST", re.compile(_REPOSITORY + "/runs"), self._start),
            ("GET", re.compile(_REPOSITORY + "/runs"), self._list),
            ("GET", re.compile(_REPOSITORY + "/runs/(?P<run>[^/]+)"), self._run),
            ("GET", re.compile(_REPOSITORY + "/runs/(?P<run>[^/]+)/(?P<workflow>[^/]+)"), self._workflow),
            ("GET", re.compile(_REPOSITORY + "/logs/(?P<run>[^/]+)/(?P<where>.+)"), self._logs),
            ("GET", re.compile(_REPOSITORY + "/artifacts/(?P<run>[^/]+)/(?P<where>.+)"), self._artifacts),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the lifespan."""
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
            return
        request = Request(scope, receive)
        path = scope["raw_path"].decode("latin-1")
        got = Received(request.method, path, scope["headers"], await request.body())
        self.received.append(got)
        answer = self._answer(got)
        self.answers.append(f"{answer.status_code} {bytes(answer.body).decode()}")
        await answer(scope, receive, send)

    def _answer(self, got: Received) -> Response:
        if endpoints.match(got.method, got.path) is not None:
            return _error(410, "EndpointWithdrawn", "This endpoint is withdrawn.")
        headers = dict(got.headers)
        if not headers.get(b"authorization", b"").startswith(b"Bearer "):
            return _error(401, "Unauthenticated", "Send 'Authorization: Bearer TOKEN'.")
        for method, pattern, endpoint in self._routes:
            if method == got.method and (found := pattern.fullmatch(got.path)):
                return self._in_repository(endpoint, found.groupdict(), got)
        return _error(404, "NotFound", "No such endpoint.")

    def _in_repository(self, endpoint: Callable[..., Response], segments: dict[str, str], got: Received) -> Response:
        name = segments.pop("repository")
        slug = next((s for s, id_ in REPOSITORIES.items() if name in {s, f"id:{id_}"}), None)
        if slug is None:
            return _error(404, "NotFound", f"There is no repository {name}.")
        runs = self._runs[slug]
        if "run" not in segments:
            return endpoint(runs, got)
        run = next((run for run in runs if run.slug == segments["run"]), None)
        if run is None:
            return _error(404, "NotFound", f"There is no run {segments['run']}.")
        return endpoint(run, segments)

    def _start(self, runs: list[Run], got: Received) -> Response:
        if dict(got.headers).get(b"content-type") != b"application/json":
            return _error(415, "InvalidArgument", "Send application/json.")
        try:
            body = msgspec.json.decode(got.body, type=RunWorkflowsBody)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _error(400, "InvalidArgument", str(error))
        for revision in (body.head, body.config_revision):
            if revision is not None and sum(map(bool, (revision.branch, revision.tag, revision.commit))) != 1:
                return _error(400, "InvalidArgument", "A revision has exactly one of branch, tag, commit.")
        runs.append(Run(str(next(self._counter)), [workflow.name for workflow in body.workflows], "alice"))
        return JSONResponse(runs[-1].seen())

    def _list(self, runs: list[Run], _got: Received) -> Response:
        return JSONResponse({"runs": [run.seen() for run in runs]})

    def _run(self, run: Run, _segments: dict[str, str]) -> Response:
        return JSONResponse(run.seen())

    def _workflow(self, run: Run, segments: dict[str, str]) -> Response:
        found = next((w for w in run.seen()["workflows"] if w["slug"] == segments["workflow"]), None)
        return JSONResponse(found) if found else _error(404, "NotFound", "There is no such workflow in the run.")

    def _logs(self, run: Run, segments: dict[str, str]) -> Response:
        return JSONResponse({"logs": [f"run {run.slug}: {segments['where']}", "done"], "next_page": ""})

    def _artifacts(self, run: Run, segments: dict[str, str]) -> Response:
        return PlainTextResponse(f"artifact of run {run.slug}: {segments['where']}\n")


def _error(status: int, code: str, message: str) -> Response:
    body = {"error_code": code, "message": message, "request_id": "stand-in", "details": {}}
    return JSONResponse(body, status)


def main() -> None:
    """Serve the stand-in until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m proxy.standin", description="The successor's API in memory.")
    parser.add_argument("--listen", default="127.0.0.1:9000", metavar="HOST:PORT")
    host, _, port = parser.parse_args().listen.rpartition(":")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    with server.background(StandIn(), server.bind("--listen", Address(host, int(port)))):
        print(f"the stand-in successor on http://{host}:{port}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
