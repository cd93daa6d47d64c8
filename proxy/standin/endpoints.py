"""The successor's endpoints, as in its OpenAPI document."""

import re
from collections.abc import Callable
from urllib.parse import quote

import msgspec
from starlette.responses import JSONResponse, Response

from proxy.standin.calls import Call, missing, wrong
from proxy.withdrawn.trigger import GitRevision

_PAGE_SIZE = 20
_LOG_PAGES = 2


class Value(msgspec.Struct, forbid_unknown_fields=True):
    """An input of a workflow."""

    name: str
    value: str


class Workflow(msgspec.Struct, forbid_unknown_fields=True):
    """A workflow to run."""

    name: str
    values: list[Value] = []


class RunWorkflowsBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body that starts a run (API.md, section 2)."""

    workflows: list[Workflow] = []
    head: GitRevision | None = None
    config_revision: GitRevision | None = None
    shared: bool = False


class UpdateRepositoryBody(msgspec.Struct, forbid_unknown_fields=True):
    """The properties of a repository that can be changed."""

    description: str | None = None


def _start_run(call: Call) -> Response:
    body = call.body(RunWorkflowsBody)
    for revision in (body.head, body.config_revision):
        if revision is not None and sum(map(bool, (revision.branch, revision.tag, revision.commit))) != 1:
            raise wrong("A revision must have exactly one of branch, tag and commit.")
    run = call.repository.start([workflow.name for workflow in body.workflows], call.user)
    return JSONResponse(run.show())


def _list_runs(call: Call) -> Response:
    size, newest = call.number("page_size", _PAGE_SIZE), call.repository.runs[::-1]
    start = _offset(call.query.get("page_token", ""))
    end = start + size
    token = _page_token(end) if end < len(newest) else ""
    return JSONResponse({"runs": [run.show() for run in newest[start:end]], "next_page_token": token})


def _get_run(call: Call) -> Response:
    return JSONResponse(call.run().show())


def _get_workflow(call: Call) -> Response:
    for workflow in call.run().show()["workflows"]:
        if workflow["slug"] == call.segments["workflow"]:
            return JSONResponse(workflow)
    raise missing("such workflow in the run")


def _get_logs(call: Call) -> Response:
    run, page = call.cube(), call.number("page", 1)
    if page > (_LOG_PAGES if run.ended else 1):
        raise missing(f"page {page} of the logs")
    logs = f"run {run.slug}, page {page}: {run.status}\n"
    return JSONResponse({"logs": logs, "page_complete": run.ended, "done": run.ended and page == _LOG_PAGES})


def _get_artifacts(call: Call) -> Response:
    run = call.cube()
    if not run.ended:
        return JSONResponse({"artifacts": []})
    # An API behind a proxy uses the host name that its caller used.
    host = call.got.header("x-forwarded-host") or call.got.header("host")
    scheme = call.got.header("x-forwarded-proto") or "http"
    url = f"{scheme}://{host}/downloads/{quote(run.slug, safe='')}/shop.gz"
    return JSONResponse(
        {"artifacts": [{"id": "1", "local_path": "dist/shop.gz", "status": "obtained", "download_url": url}]}
    )


def _update_repository(call: Call) -> Response:
    call.check_silent()
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
    call.check_silent()
    call.repository.deleted = True
    return Response(status_code=204)


def _path(template: str) -> re.Pattern[str]:
    repository = "/repos/(?P<repository>id(?::|%3[Aa])[^/]+|[^/]+/[^/]+)"
    return re.compile(repository + re.sub(r"\{(\w+)\}", "(?P<\\1>[^/]+)", template))


_CUBE_PATH = "{run}/{workflow}/{task}/{cube}"
ENDPOINTS: tuple[tuple[str, re.Pattern[str], Callable[[Call], Response]], ...] = (
    ("POST", _path("/cicd/runs"), _start_run),
    ("GET", _path("/cicd/runs"), _list_runs),
    ("GET", _path("/cicd/runs/{run}"), _get_run),
    ("GET", _path("/cicd/runs/{run}/{workflow}"), _get_workflow),
    ("GET", _path(f"/cicd/logs/{_CUBE_PATH}"), _get_logs),
    ("GET", _path(f"/cicd/artifacts/{_CUBE_PATH}"), _get_artifacts),
    ("PATCH", _path(""), _update_repository),
    ("DELETE", _path(""), _delete_repository),
)
DOWNLOAD = re.compile("/downloads/(?P<run>[^/]+)/shop.gz")


def _page_token(offset: int) -> str:
    # With + and =, which must be encoded in a query.
    return f"+{offset}="


def _offset(token: str) -> int:
    if not token:
        return 0
    found = re.fullmatch(r"\+(\d{1,9})=", token, re.ASCII)
    if found is None:
        raise wrong("page_token is not valid.")
    return int(found[1])
