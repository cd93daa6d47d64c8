"""A legacy tool with a retry loop of its own, as around Go's default client: python legacy_retry.py BASE"""

import gzip
import http.client
import json
import os
import sys
import time
from typing import Any
from urllib.parse import quote, urlsplit

RUNNING = {"created", "prepared", "processing"}
TRIES = 400

base = sys.argv[1]
address = urlsplit(base).netloc
connection = http.client.HTTPConnection(address, timeout=20)
runs = 0


def send(method: str, path: str, body: Any = None) -> bytes:
    """Send; on a broken connection or a 5xx wait a little and call again."""
    headers = {
        "User-Agent": "Go-http-client/1.1",
        "Authorization": f"Bearer {os.environ['SOURCECRAFT_TOKEN']}",
        "Accept-Encoding": "gzip",
    }
    if body is not None:
        headers["Content-Type"] = "application/json"
    for _ in range(TRIES):
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content, status = answer.read(), answer.status
        except (OSError, http.client.HTTPException):
            connection.close()
            status = 0
        if status == 200:
            return content
        if 0 < status < 500:
            sys.exit(f"{method} {path}: {status} {content!r}")
        sys.stderr.write(f"{method} {path}: {status}, again\n")
        sys.stderr.flush()
        time.sleep(0.02)
    sys.exit("given up")


def get(path: str) -> Any:
    return json.loads(send("GET", path))


def post(path: str, body: Any) -> Any:
    global runs  # noqa: PLW0603 - a script of a page
    runs += 1
    return json.loads(send("POST", path, body))


def listed(repository: str) -> None:
    found, token = 0, ""
    while True:
        page = get(f"{repository}/cicd/runs?page_size=2&page_token={quote(token, safe='')}")
        found += len(page["runs"])
        if not (token := page["next_page_token"]):
            break
    if found != runs:
        sys.exit(f"{found} runs are listed, {runs} were started")


def follow(repository: str, slug: str) -> None:
    while (run := get(f"{repository}/cicd/runs/{slug}"))["status"] in RUNNING:
        pass
    workflow = get(f"{repository}/cicd/runs/{slug}/{run['workflows'][0]['slug']}")
    task = workflow["tasks"][0]
    cube = f"{slug}/{workflow['slug']}/{task['slug']}/{task['cubes'][0]['slug']}"
    page = 1
    while not get(f"{repository}/cicd/logs/{cube}?page={page}")["done"]:
        page += 1
    [artifact] = get(f"{repository}/cicd/artifacts/{cube}")["artifacts"]
    content = gzip.decompress(send("GET", urlsplit(artifact["download_url"]).path))
    if not content.startswith(f"built by run {slug}\n".encode()):
        sys.exit("the artifact is another run's")


triggered = post("/acme/shop/ci_workflows/build/trigger", {"workflow_revision": "tags:v1.0.0"})
post("/acme/shop/ci_workflows/release%2Fprod/trigger", None)
post("/repos/id%3A42/ci_workflows/build/trigger", {})
listed("/acme/shop")
follow("/acme/shop", triggered["flux_public_id"])

started = post("/repos/acme/shop/cicd/runs", {"workflows": [{"name": "build"}]})
listed("/repos/acme/shop")
follow("/repos/acme/shop", started["slug"])
sys.stdout.write(f"OK {runs}\n")
