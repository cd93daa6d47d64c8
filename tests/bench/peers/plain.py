"""The legacy trigger as one would first write it: Starlette, `httpx.AsyncClient` and structlog, each with its defaults.

Started with its port, the port of the upstream and the file of its log.
"""

import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

log = structlog.get_logger()


def _revision(text: str | None) -> dict[str, str] | None:
    if not text:
        return None
    if text.startswith("tags:"):
        return {"tag": text.removeprefix("tags:")}
    return {"commit": text} if re.fullmatch("[0-9a-fA-F]{40}", text) else {"branch": text}


def _successor_body(workflow: str, legacy: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"workflows": [{"name": workflow, "values": (legacy.get("input") or {}).get("values", [])}]}
    if head := _revision(legacy.get("revision")):
        body["head"] = head
    if config := _revision(legacy.get("workflow_revision")):
        body["config_revision"] = config
    return body


async def _trigger(request: Request) -> JSONResponse:
    begun, path = time.perf_counter(), request.path_params
    answer = await request.app.state.client.post(
        f"/repos/{path['org']}/{path['repo']}/cicd/runs",
        json=_successor_body(path["workflow"], await request.json()),
        headers={"authorization": request.headers.get("authorization", "")},
    )
    log.info(
        "deprecated_call",
        ip=request.client.host if request.client else None,
        ua=request.headers.get("user-agent"),
        path=request.url.path,
        status=answer.status_code,
        ms=round((time.perf_counter() - begun) * 1e3, 2),
    )
    run = answer.json()
    if answer.status_code != 200:
        return JSONResponse(run, answer.status_code)
    return JSONResponse(
        {"flux_id": run["id"] or run["slug"], "flux_public_id": run["slug"], "trigger_status": "created"}
    )


def _application(upstream: int) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{upstream}", timeout=60) as app.state.client:
            yield

    route = Route("/{org}/{repo}/ci_workflows/{workflow}/trigger", _trigger, methods=["POST"])
    return Starlette(routes=[route], lifespan=lifespan)


def _main(port: int, upstream: int, path: Path) -> None:
    with path.open("a", buffering=1) as file:
        structlog.configure(
            processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
            logger_factory=structlog.WriteLoggerFactory(file),
        )
        uvicorn.run(_application(upstream), port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
