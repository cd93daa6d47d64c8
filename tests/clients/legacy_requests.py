"""A legacy tool with requests, and urllib3's retries: python legacy_requests.py BASE"""

import gzip
import os
import sys
import tempfile
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

RUNNING = {"created", "prepared", "processing"}

base = sys.argv[1]
session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['SOURCECRAFT_TOKEN']}"
retry = Retry(total=5, backoff_factor=0.05, status_forcelist=[500, 502, 503, 504], allowed_methods=None)
session.mount("http://", HTTPAdapter(max_retries=retry))
runs = 0


def get(url: str, **query: str) -> Any:
    answer = session.get(url, params=query, timeout=20)
    answer.raise_for_status()
    return answer.json()


def post(url: str, body: Any) -> Any:
    global runs  # noqa: PLW0603 - a script of a page
    runs += 1
    answer = session.post(url, json=body, timeout=20)
    answer.raise_for_status()
    return answer.json()


def listed(repository: str) -> None:
    found, token = 0, ""
    while True:
        page = get(f"{repository}/cicd/runs", page_size="2", page_token=token)
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
    while not get(f"{repository}/cicd/logs/{cube}", page=str(page))["done"]:
        page += 1
    [artifact] = get(f"{repository}/cicd/artifacts/{cube}")["artifacts"]
    with tempfile.TemporaryFile() as file, session.get(artifact["download_url"], stream=True, timeout=20) as answer:
        for piece in answer.iter_content(8192):
            file.write(piece)
        file.seek(0)
        if gzip.GzipFile(fileobj=file).readline() != f"built by run {slug}\n".encode():
            sys.exit("the artifact is another run's")


legacy = f"{base}/acme/shop"
listed(legacy)
triggered = post(f"{legacy}/ci_workflows/build/trigger", {"input": {"values": [{"name": "env", "value": "staging"}]}})
post(f"{legacy}/ci_workflows/release%2Fprod/trigger", {"input": None})
post(f"{base}/repos/id:42/ci_workflows/build/trigger", None)
follow(legacy, triggered["flux_public_id"])
listed(legacy)

current = f"{base}/repos/acme/shop"
follow(current, post(f"{current}/cicd/runs", {"workflows": [{"name": "build"}], "head": {"branch": "main"}})["slug"])
listed(current)
sys.stdout.write(f"OK {runs}\n")
