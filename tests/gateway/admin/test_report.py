"""The report that the admin listener shows."""

import functools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.ledger import keeper
from proxy.gateway.admin import report as live
from tests.support.ledgers import stored_calls
from tests.support.proxy import Proxy, watched
from tests.support.serving import serving
from tests.support.upstream import Upstream
from tests.support.waiting import until

KNOWN = [{"name": "nightly", "owner": "team-a", "contact": "a@acme.example", "agent": "nightly/*"}]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count each call soon."""
    monkeypatch.setattr(keeper, "INTERVAL", 0.01)


def ledger(folder: Path) -> str:
    return str(folder / "callers.db")


def get(admin: Proxy, path: str) -> Any:
    return admin.call(path, None, method="GET")


def rows(admin: Proxy) -> dict[str, Any]:
    return {row["caller"]: row for row in get(admin, "/callers.json").json()["callers"]}


def test_the_report_is_that_of_the_ledger_and_of_the_configuration(upstream: Upstream, tmp_path: Path) -> None:
    callers = {"known": KNOWN, "fingerprint_key": "k" * 32, "log": str(tmp_path / "callers.jsonl")}
    with watched(upstream.url, tmp_path, callers=callers, ledger=ledger(tmp_path)) as (proxy, admin):
        for agent in ("nightly/1", "nightly/2", "<b>bold</b>"):
            assert proxy.call(headers={"User-Agent": agent}).status == 200
        until(lambda: stored_calls(ledger(tmp_path)) == 3)
        answer = get(admin, "/callers.json")
        found = rows(admin)
        page = get(admin, "/callers")

    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert found["nightly"]["calls"] == 2
    assert (found["nightly"]["owner"], found["nightly"]["contact"]) == ("team-a", "a@acme.example")
    assert len(found) == 2
    assert (page.status, page.header("content-type")) == (200, "text/html; charset=utf-8")
    assert page.body.startswith(b"<!DOCTYPE html>")
    assert b"nightly" in page.body
    assert b"<b>bold" not in page.body
    assert f"{upstream.url}/repos/acme/shop/cicd/runs".encode() in page.body


@pytest.mark.parametrize("workers", [1, 2])
def test_the_log_on_standard_output_is_counted_too(upstream: Upstream, tmp_path: Path, workers: int) -> None:
    start = functools.partial(serving, upstream.url, tmp_path, admin="127.0.0.1:0", ledger=ledger(tmp_path))
    with start(callers={"log": "-", "known": KNOWN}, workers=workers) as running:
        for _ in range(5):
            assert running.proxy.call(headers={"User-Agent": "nightly/1"}).status == 200
        until(lambda: stored_calls(ledger(tmp_path)) == 5)
        assert rows(running.admin)["nightly"]["calls"] == 5


def test_the_page_shows_the_address_that_callers_are_told(upstream: Upstream, tmp_path: Path) -> None:
    told = {"successor_url": "https://told.example"}
    with serving(upstream.url, tmp_path, admin="127.0.0.1:0", ledger=ledger(tmp_path), lifecycle=told) as running:
        running.proxy.call()
        until(lambda: stored_calls(ledger(tmp_path)) == 1)
        page = get(running.admin, "/callers").body.decode()

    assert "https://told.example/repos/acme/shop/cicd/runs" in page
    assert upstream.url not in page


def test_the_command_line_s_settings_reach_the_report(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIGGER_SHIM__CALLERS__KNOWN", json.dumps(KNOWN))
    with serving(upstream.url, tmp_path, admin="127.0.0.1:0", ledger=ledger(tmp_path), workers=2) as running:
        running.proxy.call(headers={"User-Agent": "nightly/1"})
        until(lambda: stored_calls(ledger(tmp_path)) == 1)
        found = rows(running.admin)

    assert [(name, row["owner"]) for name, row in found.items()] == [("nightly", "team-a")]


@pytest.mark.parametrize(
    ("ledgers", "said"),
    [
        (None, b"this page reads the ledger: set the key ledger, or use 'trigger-shim callers'\n"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", b"PostgreSQL: connection failed: "),
    ],
)
def test_without_a_ledger_one_line_says_what_to_do(
    upstream: Upstream, tmp_path: Path, ledgers: str | None, said: bytes
) -> None:
    with watched(upstream.url, tmp_path, ledger=ledgers) as (_, admin):
        answer = get(admin, "/callers")

    assert answer.status == 503
    assert answer.body.startswith(said)
    assert answer.body.count(b"\n") == 1
    assert b"secret" not in answer.body


class Making:
    """Stands for the making of a report, which goes on when a test says so.

    Attributes:
        forms: of the reports that were begun.
    """

    def __init__(self) -> None:
        self.forms: list[str] = []
        self.problem: Exception | None = None
        self._may_end = threading.Semaphore(0)

    def __call__(self, _config: Any, form: str) -> bytes:
        self.forms.append(form)
        assert self._may_end.acquire(timeout=60)
        if self.problem is not None:
            raise self.problem
        return b"%d" % len(self.forms)

    def end(self, reports: int = 1) -> None:
        self._may_end.release(reports)


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> Making:
    made = Making()
    monkeypatch.setattr(live, "_report", made)
    monkeypatch.setattr(live, "SHORTEST_LIFE", 3600.0)
    return made


@pytest.fixture
def pair(upstream: Upstream, tmp_path: Path, making: Making) -> Iterator[tuple[Proxy, Proxy]]:
    with watched(upstream.url, tmp_path) as both:
        yield both
        making.end(10)


class Asking(threading.Thread):
    """A reader that waits for a page."""

    def __init__(self, admin: Proxy, path: str) -> None:
        super().__init__(daemon=True)
        self._admin, self._path = admin, path
        self.start()

    def run(self) -> None:
        self._answer = get(self._admin, self._path)

    def answer(self) -> Any:
        self.join(60)
        return self._answer


def test_those_who_ask_at_once_share_one_report(pair: tuple[Proxy, Proxy], making: Making) -> None:
    _, admin = pair
    asking = [Asking(admin, "/callers.json") for _ in range(5)]
    until(lambda: making.forms)
    making.end()

    assert {reader.answer().body for reader in asking} == {b"1"}
    assert making.forms == ["json"]


def test_a_report_is_shown_again_for_a_while(pair: tuple[Proxy, Proxy], making: Making) -> None:
    _, admin = pair
    making.end(2)
    assert [get(admin, "/callers.json").body for _ in range(3)] == [b"1"] * 3
    assert get(admin, "/callers").body == b"2"


def test_a_report_that_is_no_longer_cached_is_made_anew(
    pair: tuple[Proxy, Proxy], making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SHORTEST_LIFE", 0.0)
    monkeypatch.setattr(live, "LIFE", 0)
    making.end(2)
    assert [get(pair[1], "/callers.json").body for _ in range(2)] == [b"1", b"2"]


def test_reports_are_made_one_after_the_other_while_calls_are_served(pair: tuple[Proxy, Proxy], making: Making) -> None:
    proxy, admin = pair
    first = Asking(admin, "/callers.json")
    until(lambda: making.forms)
    second = Asking(admin, "/callers")
    assert proxy.call().status == 200
    assert get(admin, "/healthz").status == 200
    assert making.forms == ["json"]

    making.end(2)
    assert (first.answer().body, second.answer().body) == (b"1", b"2")
    assert making.forms == ["json", "html"]


def test_a_failure_is_remembered_as_a_report_is(pair: tuple[Proxy, Proxy], making: Making) -> None:
    making.problem = live.NoReport("no \x1b[2J")
    making.end()
    answers = [get(pair[1], "/callers.json") for _ in range(3)]

    assert [answer.status for answer in answers] == [503] * 3
    assert {answer.body for answer in answers} == {b"no \\u001b[2J\n"}
    assert len(making.forms) == 1
    assert answers[0].header("x-content-type-options") == "nosniff"


def test_a_fault_is_one_line(pair: tuple[Proxy, Proxy], making: Making) -> None:
    making.problem = ValueError("secret")
    making.end()

    assert get(pair[1], "/callers").body == b"a fault of the proxy itself: ValueError\n"
