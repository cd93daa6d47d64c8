"""The report that the admin listener shows."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from proxy.gateway import child
from proxy.gateway.admin import report as live
from tests.support.proxy import Proxy, watched
from tests.support.serving import serving
from tests.support.upstream import Upstream

KNOWN = [{"name": "nightly", "owner": "team-a", "contact": "a@acme.example", "agent": "nightly/*"}]


def get(admin: Proxy, path: str) -> Any:
    return admin.call(path, None, method="GET")


def test_the_report_is_that_of_the_log_and_of_the_configuration(upstream: Upstream, tmp_path: Path) -> None:
    callers = {"log": str(tmp_path / "callers.jsonl"), "known": KNOWN, "fingerprint_key": "k" * 32}
    with watched(upstream.url, tmp_path, callers=callers) as (proxy, admin):
        for agent in ("nightly/1", "nightly/2", "<b>bold</b>"):
            assert proxy.call(headers={"User-Agent": agent}).status == 200
        answer = get(admin, "/callers.json")
        page = get(admin, "/callers")

    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    rows = {row["caller"]: row for row in answer.json()["callers"]}
    assert rows["nightly"]["calls"] == 2
    assert (rows["nightly"]["owner"], rows["nightly"]["contact"]) == ("team-a", "a@acme.example")
    assert len(rows) == 2
    assert (page.status, page.header("content-type")) == (200, "text/html; charset=utf-8")
    assert page.body.startswith(b"<!DOCTYPE html>")
    assert b"nightly" in page.body
    assert b"<b>bold" not in page.body
    assert f"{upstream.url}/repos/acme/shop/cicd/runs".encode() in page.body


def test_a_report_is_shown_again_for_a_while_and_then_made_anew(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calls(admin: Proxy) -> int:
        return sum(row["calls"] for row in get(admin, "/callers.json").json()["callers"])

    monkeypatch.setattr(live, "SHORTEST_LIFE", 3600.0)
    with watched(upstream.url, tmp_path) as (proxy, admin):
        proxy.call()
        assert calls(admin) == 1
        proxy.call()
        assert calls(admin) == 1
    monkeypatch.setattr(live, "SHORTEST_LIFE", 0.0)
    monkeypatch.setattr(live, "LIFE", 0)
    with watched(upstream.url, tmp_path) as (proxy, admin):
        assert calls(admin) == 2
        proxy.call()
        assert calls(admin) == 3


def test_those_who_ask_at_once_share_one_report(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SHORTEST_LIFE", 3600.0)
    with watched(upstream.url, tmp_path) as (_, admin):
        answers: list[Any] = []
        asking = [threading.Thread(target=lambda: answers.append(get(admin, "/callers.json").json())) for _ in range(5)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()

    assert len({answer["generated_at"] for answer in answers}) == 1
    assert len(answers) == 5


def test_calls_are_served_while_a_report_is_made(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    monkeypatch.setattr(child, "command", lambda *_: ["cat", str(fifo)])
    with watched(upstream.url, tmp_path) as (proxy, admin):
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(get(admin, "/callers.json")))
        asking.start()
        with fifo.open("wb") as report:  # it can be opened once somebody reads it
            assert proxy.call().status == 200
            assert get(admin, "/healthz").status == 200
            assert answers == []
            report.write(b"{}")
        asking.join()

    assert answers[0].body == b"{}"


def test_without_a_file_to_read_one_line_says_what_to_do(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path, callers={"log": "-"}) as (_, admin):
        answer = get(admin, "/callers")

    assert answer.status == 503
    assert answer.body.startswith(b"callers.log is standard output: name the files")
    assert answer.body.count(b"\n") == 1


@pytest.mark.parametrize("limit", ["MEMORY", "TIMEOUT"])
def test_a_report_that_takes_too_much_is_given_up(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(live, limit, {"MEMORY": 1 << 20, "TIMEOUT": 0.001}[limit])
    with watched(upstream.url, tmp_path) as (proxy, admin):
        assert get(admin, "/callers").status == 503
        assert proxy.call().status == 200


def test_the_command_line_s_settings_reach_the_report(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIGGER_SHIM__CALLERS__KNOWN", json.dumps(KNOWN))
    with serving(upstream.url, tmp_path, admin="127.0.0.1:0", workers=2) as running:
        running.proxy.call(headers={"User-Agent": "nightly/1"})
        answer = get(running.admin, "/callers.json")

    assert [(row["caller"], row["owner"]) for row in answer.json()["callers"]] == [("nightly", "team-a")]
