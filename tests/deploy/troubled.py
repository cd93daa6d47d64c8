"""A proxy that has met every kind of call and trouble that it has a number for, and a Prometheus that saw it."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.tools import DEPLOY
from tests.support.prometheus import Prometheus, scraping
from tests.support.scrape import Scrape
from tests.support.serving import Serving, serving
from tests.support.upstream import RUN, Upstream, closes, held, reply, stays_silent
from tests.support.waiting import until

FOLDER = DEPLOY / "monitoring"
RULES = FOLDER / "rules.yaml"

CURRENT = "/repos/acme/shop/cicd/runs"
RUNS = "/acme/shop/cicd/runs"


def groups() -> list[dict[str, Any]]:
    return list(yaml.safe_load(RULES.read_text())["groups"])


def impatient(folder: Path) -> Path:
    """The rules, in a file of their own, evaluated every second and without a wait before an alert fires."""
    rules = groups()
    for group in rules:
        group["interval"] = "1s"
        group["rules"] = [{key: value for key, value in rule.items() if key != "for"} for rule in group["rules"]]
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": rules}))
    return file


def sections(folder: Path) -> dict[str, Any]:
    """A configuration in which a caller has migrated, one has an extension, and the sunset is near."""
    sunset, extension = (datetime.now(UTC) + timedelta(days=days) for days in (7, 40))
    known = [
        {"name": "nightly", "agent": "nightly/*"},
        {"name": "moved", "agent": "moved/*", "migrated": "2020-01-01"},
        {"name": "month-end", "agent": "month-end/*", "extension": extension.isoformat()},
        {"name": "dark", "agent": "dark/*"},
    ]
    return {
        "admin": "127.0.0.1:0",
        "ledger": str(folder / "callers.db"),
        "limits": {"in_flight": 1},
        "upstream": {"timeout": 1.0, "connect_timeout": 0.9},
        "callers": {"log": str(folder / "logs" / "callers.jsonl"), "known": known},
        "lifecycle": {
            "sunset": sunset.isoformat(),
            "brownouts": [{"from": "2020-01-01", "to": "2100-01-01", "callers": "dark"}],
        },
    }


@contextlib.contextmanager
def troubled(folder: Path) -> Iterator[tuple[Serving, Prometheus]]:
    """A proxy after its troubles, while it runs, and a Prometheus that has seen all of them."""
    with Upstream().running() as upstream, serving(upstream.url, folder, **sections(folder)) as running:
        with scraping(running.admin, folder, impatient(folder)) as prometheus:
            until(lambda: prometheus.query("trigger_shim_build_info"))
            call_in_every_way(upstream, running)
            overload(upstream, running)
            lose_records(running, folder)
            refuse_a_reload(running, folder)
            last = Scrape(running.admin)["caller_log_write_failures_total"]
            until(lambda: prometheus.query("max(trigger_shim_caller_log_write_failures_total)").get("") == last)
            yield running, prometheus
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0


def call_in_every_way(upstream: Upstream, running: Serving) -> None:
    proxy = running.proxy
    for agent in ("nightly/1", "month-end/1", "moved/1", "dark/1", "nobody/1") * 2:
        proxy.call(headers={"User-Agent": agent})
    proxy.call(body=b"[]")
    for script in (reply(503, b""), reply(404, b""), closes(), stays_silent, *[reply(502, b"")] * 5, reply(200, RUN)):
        upstream.script = script
        proxy.call()
    for path in (CURRENT, RUNS):
        proxy.call(path, None, method="GET")


def overload(upstream: Upstream, running: Serving) -> None:
    def second_is_refused() -> bool:
        release = threading.Event()
        upstream.script, before = held(release), len(upstream.received)
        first = running.call()
        until(lambda: len(upstream.received) > before or not first.is_alive())
        status = running.proxy.call().status
        release.set()
        first.answer()
        return status == 503

    until(second_is_refused)  # on a busy machine, the time of the first one may be over by then
    upstream.script = reply(200, RUN)


def lose_records(running: Serving, folder: Path) -> None:
    """Put a file where the log's folder was: not even root can write into that."""
    (folder / "logs").rename(folder / "logs-of-before")
    (folder / "logs").touch()
    running.proxy.call()
    until(lambda: Scrape(running.admin)["caller_log_write_failures_total"])


def refuse_a_reload(running: Serving, folder: Path) -> None:
    (folder / "config.yaml").write_text("lifecycle: {sunset: soon}")
    running.signal(signal.SIGHUP)
    until(lambda: Scrape(running.admin)["config_last_reload_successful"] == 0)
