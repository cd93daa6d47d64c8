"""The successor's API in memory, for the demo and the tests; `serve` never uses it.

It knows the repository ``acme/shop``, whose ID is 42, takes any token, and refuses whatever the published schema does
not have. Withdrawn endpoints get 410, so that a proxy that only passes through is caught.

``python -m proxy.standin --listen 127.0.0.1:9000`` serves it alone.
"""

import argparse
import gzip
import hashlib
import re
import signal
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote, unquote

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from proxy.gateway import server
from proxy.values import Address
from proxy.withdrawn import endpoints
from proxy.withdrawn.trigger import GitRevision

REPOSITORIES = {"acme/shop": "42"}
"""Slugs and IDs of the repositories that exist at first."""

NOTHING_TO_START = "nothing"
"""The name of a workflow that does not exist in the configuration: its run ends at once, with no workflow in it."""

TASK, CUBE = "compile", "main"
"""The one task of every workflow, and the one cube of that."""

_STATUSES = ("created", "prepared", "processing", "success")
_PAGE_SIZE = 20
_LOG_PAGES = 2

T = TypeVar("T")


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


class UpdateRepositoryBody(msgspec.Struct, forbid_unknown_fields=True):
    """What may be changed of a repository."""

    description: str | None = None


class Received(NamedTuple):
    """A request as it came in."""

    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    query: str

    def header(self, name: str) -> str:
        """A header by its name in lower case; empty where it is absent."""
        return dict(self.headers).get(name.encode(), b"").decode("latin-1")


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


class Refused(Exception):
    """An answer in the error schema."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Call(NamedTuple):
    """A request to one endpoint."""

    got: Received
    repository: Repository
    segments: dict[str, str]
    query: dict[str, str]
    user: str

    def body(self, kind: type[T]) -> T:
        """What was sent.

        Raises:
            Refused: it is not JSON of that kind.
        """
        if self.got.header("content-type") != "application/json":
            raise Refused(415, "InvalidArgument", "Send application/json.")
        try:
            return msgspec.json.decode(self.got.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _wrong(str(error)) from None

    def run(self) -> Run:
        """The run that the path names.

        Raises:
            Refused: there is none.
        """
        for run in self.repository.runs:
            if run.slug == self.segments["run"]:
                return run
        raise _missing(f"run {self.segments['run']}")

    def cube(self) -> Run:
        """The run with the cube that the path names.

        Raises:
            Refused: there is none.
        """
        run = self.run()
        if self.segments["workflow"] not in run.names or (self.segments["task"], self.segments["cube"]) != (TASK, CUBE):
            raise _missing("such cube in the run")
        return run

    def number(self, name: str, default: int) -> int:
        """A number of the query, 1 or more.

        Raises:
            Refused: it is none.
        """
        text = self.query.get(name, "") or str(default)
        if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
            raise _wrong(f"{name} is a number of 1 or more.")
        return int(text)

    def silent(self) -> None:
        """Check that `silent` is a boolean; it changes nothing.

        Raises:
            Refused: it is none.
        """
        if self.query.get("silent", "false") not in {"true", "false"}:
            raise _wrong("silent is true or false.")


class StandIn:
    """The ASGI application.

    Args:
        users: whose a token is; all others are alice's.

    Attributes:
        received: every request, oldest first.
        answers: status and body of the answer to each.
        repositories: those that exist, or did.
    """

    def __init__(self, users: Mapping[str, str] | None = None) -> None:
        self.users = dict(users or {})
        self.received: list[Received] = []
        self.answers: list[str] = []
        self.repositories = [Repository(slug, id_) for slug, id_ in REPOSITORIES.items()]

    @property
    def runs(self) -> list[Run]:
        """Every run that was started."""
        return [run for repository in self.repositories for run in repository.runs]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the lifespan."""
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
            return
        request = Request(scope, receive)
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        got = Received(request.method, path, scope["headers"], await request.body(), query)
        self.received.append(got)
        try:
            answer = self._answer(got)
        except Refused as error:
            body = {"error_code": error.code, "message": error.message, "request_id": "stand-in", "details": {}}
            answer = JSONResponse(body, error.status)
        self.answers.append(f"{answer.status_code} {bytes(answer.body).decode(errors='replace')}")
        await answer(scope, receive, send)

    def _answer(self, got: Received) -> Response:
        if endpoints.match(got.method, got.path) is not None:
            raise Refused(410, "EndpointWithdrawn", "This endpoint is withdrawn.")
        if got.method == "GET" and (download := _DOWNLOAD.fullmatch(got.path)):
            return Response(artifact(download["run"]), media_type="application/gzip")
        if not got.header("authorization").startswith("Bearer "):
            raise Refused(401, "Unauthenticated", "Send 'Authorization: Bearer TOKEN'.")
        for method, pattern, endpoint in _ENDPOINTS:
            if method == got.method and (found := pattern.fullmatch(got.path)):
                segments = {name: unquote(segment) for name, segment in found.groupdict().items()}
                repository = self._repository(segments.pop("repository"))
                query = dict(parse_qsl(got.query, keep_blank_values=True))
                user = self.users.get(got.header("authorization").removeprefix("Bearer "), "alice")
                return endpoint(Call(got, repository, segments, query, user))
        raise _missing("such endpoint")

    def _repository(self, name: str) -> Repository:
        for repository in self.repositories:
            if name in {repository.slug, f"id:{repository.id}"} and not repository.deleted:
                return repository
        raise _missing(f"repository {name}")


def artifact(run: str) -> bytes:
    """What the one artifact of a run holds: so many bytes that they come in several pieces, and no text."""
    noise = hashlib.shake_256(run.encode()).digest(256 << 10)
    return gzip.compress(f"built by run {run}\n".encode() + noise, mtime=0)


def _start_run(call: Call) -> Response:
    body = call.body(RunWorkflowsBody)
    for revision in (body.head, body.config_revision):
        if revision is not None and sum(map(bool, (revision.branch, revision.tag, revision.commit))) != 1:
            raise _wrong("A revision has exactly one of branch, tag, commit.")
    run = call.repository.start([workflow.name for workflow in body.workflows], call.user)
    return JSONResponse(run.seen())


def _list_runs(call: Call) -> Response:
    size, newest = call.number("page_size", _PAGE_SIZE), call.repository.runs[::-1]
    start = _offset(call.query.get("page_token", ""))
    end = start + size
    token = _page_token(end) if end < len(newest) else ""
    return JSONResponse({"runs": [run.seen() for run in newest[start:end]], "next_page_token": token})


def _get_run(call: Call) -> Response:
    return JSONResponse(call.run().seen())


def _get_workflow(call: Call) -> Response:
    for workflow in call.run().seen()["workflows"]:
        if workflow["slug"] == call.segments["workflow"]:
            return JSONResponse(workflow)
    raise _missing("such workflow in the run")


def _get_logs(call: Call) -> Response:
    run, page = call.cube(), call.number("page", 1)
    if page > (_LOG_PAGES if run.ended else 1):
        raise _missing(f"page {page} of the logs")
    logs = f"run {run.slug}, page {page}: {run.status}\n"
    return JSONResponse({"logs": logs, "page_complete": run.ended, "done": run.ended and page == _LOG_PAGES})


def _get_artifacts(call: Call) -> Response:
    run = call.cube()
    if not run.ended:
        return JSONResponse({"artifacts": []})
    # An API behind a proxy names itself as its caller knows it.
    host = call.got.header("x-forwarded-host") or call.got.header("host")
    scheme = call.got.header("x-forwarded-proto") or "http"
    url = f"{scheme}://{host}/downloads/{quote(run.slug, safe='')}/shop.gz"
    return JSONResponse(
        {"artifacts": [{"id": "1", "local_path": "dist/shop.gz", "status": "obtained", "download_url": url}]}
    )


def _update_repository(call: Call) -> Response:
    call.silent()
    body = call.body(UpdateRepositoryBody)
    if body.description is not None:
        call.repository.description = body.description
    return JSONResponse(
        {
            "id": call.repository.id,
            "slug": call.repository.slug.partition("/")[2],
            "description": call.repository.description,
        }
    )


def _delete_repository(call: Call) -> Response:
    call.silent()
    call.repository.deleted = True
    return Response(status_code=204)


def _path(template: str) -> re.Pattern[str]:
    repository = "/repos/(?P<repository>id(?::|%3[Aa])[^/]+|[^/]+/[^/]+)"
    return re.compile(repository + re.sub(r"\{(\w+)\}", "(?P<\\1>[^/]+)", template))


_CUBE_PATH = "{run}/{workflow}/{task}/{cube}"
_ENDPOINTS: tuple[tuple[str, re.Pattern[str], Callable[[Call], Response]], ...] = (
    ("POST", _path("/cicd/runs"), _start_run),
    ("GET", _path("/cicd/runs"), _list_runs),
    ("GET", _path("/cicd/runs/{run}"), _get_run),
    ("GET", _path("/cicd/runs/{run}/{workflow}"), _get_workflow),
    ("GET", _path(f"/cicd/logs/{_CUBE_PATH}"), _get_logs),
    ("GET", _path(f"/cicd/artifacts/{_CUBE_PATH}"), _get_artifacts),
    ("PATCH", _path(""), _update_repository),
    ("DELETE", _path(""), _delete_repository),
)
_DOWNLOAD = re.compile("/downloads/(?P<run>[^/]+)/shop.gz")


def _page_token(offset: int) -> str:
    # With + and =, which mean something else in a query unless they are encoded.
    return f"+{offset}="


def _offset(token: str) -> int:
    if not token:
        return 0
    found = re.fullmatch(r"\+(\d{1,9})=", token, re.ASCII)
    if found is None:
        raise _wrong("page_token is none that was given out.")
    return int(found[1])


def _wrong(message: str) -> Refused:
    return Refused(400, "InvalidArgument", message)


def _missing(what: str) -> Refused:
    return Refused(404, "NotFound", f"There is no {what}.")


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
