"""What a real Prometheus reads from a running proxy."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import program
from tests.support.prometheus import scraping
from tests.support.serving import Serving, serving
from tests.support.upstream import RUN, Upstream, reply
from tests.support.waiting import until

CURRENT = "/repos/acme/shop/cicd/runs"


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def running(request: pytest.FixtureRequest, upstream: Upstream, tmp_path: Path) -> Iterator[Serving]:
    known = [{"name": "nightly", "agent": "nightly/*"}]
    callers = {"log": str(tmp_path / "callers.jsonl"), "known": known}
    lifecycle = {"sunset": "2030-06-01"}
    with serving(
        upstream.url, tmp_path, admin="127.0.0.1:0", workers=request.param, callers=callers, lifecycle=lifecycle
    ) as running:
        yield running
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0


def make_calls(upstream: Upstream, running: Serving) -> None:
    proxy = running.proxy
    for _ in range(3):
        proxy.call(headers={"User-Agent": "nightly/1"})
    proxy.call(body=b"[]")
    proxy.call(CURRENT, None, method="GET")
    upstream.script = reply(503, b"")
    proxy.call("/acme/shop/cicd/runs", None, method="GET")
    upstream.script = reply(200, RUN)


# One worker's metrics are read by Prometheus in tests/deploy/test_monitoring.py.
@pytest.mark.parametrize("running", [2], ids=["two workers"], indirect=True)
def test_prometheus_scrapes_it_and_answers_with_the_right_numbers(
    upstream: Upstream, running: Serving, tmp_path: Path
) -> None:
    make_calls(upstream, running)
    with scraping(running.admin, tmp_path) as prometheus:
        calls = "sum by (endpoint, outcome, status) (trigger_shim_calls_total) > 0"
        expected = {
            calls: {
                "trigger/forwarded/2xx": 3,
                "trigger/rejected/4xx": 1,
                "list_runs/upstream_error/5xx": 1,
                "pass_through/forwarded/2xx": 1,
            },
            "sum by (caller) (trigger_shim_caller_calls_total)": {"nightly": 3, "other": 2},
            "trigger_shim_caller_log_write_failures_total + 0": {"": 0},
            "trigger_shim_lifecycle_sunset_timestamp_seconds + 0": {"": 1906502400},
            "time() - process_start_time_seconds < bool 600": {"": 1},
        }
        # A scrape that took over a second has failed, and until the next one there is no answer.
        for expression, values in expected.items():
            until(lambda asked=(expression, values): prometheus.query(asked[0]) == asked[1])  # type: ignore[misc]
        longest = "histogram_quantile(1, sum by (le) (trigger_shim_call_duration_seconds_bucket)) < 5"
        until(lambda: prometheus.query(longest))
        running.proxy.call()
        until(lambda: prometheus.query(calls).get("trigger/forwarded/2xx") == 4)
        until(lambda: prometheus.target()["lastError"] == "")


def test_promtool_finds_no_problem_before_any_call_and_after_calls(upstream: Upstream, running: Serving) -> None:
    assert problems(running) == (0, b"", b"")
    make_calls(upstream, running)
    assert problems(running) == (0, b"", b"")


def problems(running: Serving) -> tuple[int, bytes, bytes]:
    """What promtool finds in the metrics."""
    text = running.admin.call("/metrics", None, method="GET").body
    checked = subprocess.run([program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    return checked.returncode, checked.stdout, checked.stderr
