"""The proxy as the manifests run it: probed, called, stopped and killed."""

import contextlib
import csv
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from proxy import config
from tests.deploy.manifests import README, Manifests, blocks, commands, monitor, quantity
from tests.deploy.pods import Container, Pod, confined, serving
from tests.support.disks import mounted
from tests.support.upstream import Upstream, held
from tests.support.waiting import until


@pytest.fixture(scope="module")
def manifests() -> Manifests:
    return Manifests()


@pytest.fixture
def running(manifests: Manifests, upstream: Upstream, tmp_path: Path) -> Iterator[Container]:
    with serving(manifests, tmp_path / "pod", upstream.url) as running:
        yield running


def test_a_pod_passes_its_probes_and_forwards_what_comes_by_the_service(running: Container, upstream: Upstream) -> None:
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert running.probe(kind).status == 200
    [port] = running.manifests.spec("Service", "trigger-shim")["ports"]
    answer = running.on(port["targetPort"]).call()
    assert (answer.status, answer.json()["flux_id"]) == (200, "7")
    [record] = running.records()
    assert (record["outcome"], record["run"]) == ("forwarded", "7")
    assert len(upstream.received) == 1


def test_a_pod_that_stops_is_not_ready_and_still_takes_calls(running: Container) -> None:
    running.process.send_signal(signal.SIGTERM)
    until(lambda: running.probe("readinessProbe").status == 503)
    assert running.probe("livenessProbe").status == 200
    assert running.on("http").call().status == 200


def test_each_way_for_prometheus_leads_to_the_metrics(running: Container) -> None:
    asked = running.manifests.template["metadata"]["annotations"]
    [endpoint] = monitor()["spec"]["podMetricsEndpoints"]
    [port] = running.manifests.spec("Service", "trigger-shim-admin")["ports"]
    ways: list[tuple[str | int, str]] = [
        (int(asked["prometheus.io/port"]), asked["prometheus.io/path"]),
        (endpoint["port"], endpoint["path"]),
        (port["targetPort"], "/metrics"),
    ]
    assert asked["prometheus.io/scrape"] == "true"
    for where, path in ways:
        assert b"trigger_shim_workers 1" in running.on(where).call(path, None, method="GET").body


def test_the_page_of_callers_says_where_they_are_instead(running: Container) -> None:
    answer = running.on("admin").call("/callers", None, method="GET")
    assert answer.status == 503
    assert b"callers.log is standard output" in answer.body


def test_replicas_give_a_caller_one_name_and_the_report_reads_the_output_of_all(
    manifests: Manifests, upstream: Upstream, tmp_path: Path
) -> None:
    outputs = []
    for name in ("trigger-shim-1", "trigger-shim-2"):
        with serving(manifests, tmp_path / name, upstream.url) as running:
            assert running.on("http").call().status == 200
            (tmp_path / name / "config.yaml").unlink()
            running.process.send_signal(signal.SIGHUP)  # it says so on standard error, which is in the same output
            until(lambda output=running.output: "reload_refused" in output.read_text())  # type: ignore[misc]
        outputs += [f"[pod/{name}/trigger-shim] {line}" for line in running.output.read_text().splitlines()]
    [command] = commands("kubectl logs")
    arguments = command.partition("| trigger-shim ")[2].split()
    report = [sys.executable, "-m", "proxy", *arguments, "--format", "csv"]
    said = subprocess.run(report, input="\n".join(outputs), check=True, capture_output=True, text=True, cwd=tmp_path)
    [row] = csv.DictReader(said.stdout.splitlines())
    assert (row["caller"][:6], row["calls"]) == ("token:", "2")


def test_a_container_that_is_killed_leaves_its_calls_to_the_next_one_in_its_pod(
    manifests: Manifests, upstream: Upstream, tmp_path: Path
) -> None:
    release = threading.Event()
    upstream.script = held(release)
    memory, folder = tmp_path / "memory", tmp_path / "pod"
    size = int(quantity(manifests.volume("journal")[0]["emptyDir"]["sizeLimit"]))
    with mounted(memory, "-t", "tmpfs", "-o", f"size={size},mode=777", "none"):
        pod = Pod(manifests, folder, {"TRIGGER_SHIM__UPSTREAM__URL": upstream.url})
        pod.runtime = confined(manifests, folder, memory)
        with pod.container() as running, running.on("http").connect() as caller:
            caller.sendall(
                b"POST /acme/shop/ci_workflows/build/trigger HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
            )
            assert upstream.arrived.wait(20)
            who = Path(f"/proc/{running.process.pid}/status").read_text()
            running.process.kill()
            running.process.wait()
            assert running.records() == []
        with pod.container() as running:
            [record] = until(running.records)
            warnings = [line for line in running.output.read_text().splitlines() if not line.startswith("{")]
        release.set()
    assert (record["outcome"], record["endpoint"]) == ("interrupted", "trigger")
    assert f"Uid:\t{manifests.pod['securityContext']['runAsUser']}\t" in who
    assert len(re.findall(r"^(?:Cap(?:Eff|Bnd):\t0+|NoNewPrivs:\t1)$", who, re.MULTILINE)) == 3
    assert warnings == []


def test_the_largest_calls_fit_into_memory(running: Container, upstream: Upstream, tmp_path: Path) -> None:
    found = re.search(r"(\d+) MiB with as many\s+bodies as `limits.buffered` allows", README)
    assert found is not None
    limits = running.manifests.settings(tmp_path).limits
    number = limits.buffered // limits.body
    release = threading.Event()
    upstream.script = held(release)
    body = b'{"input":{"values":[{"name":"a","value":"%s"}]}}' % (b"x" * (limits.body - 64))
    head = b"POST /acme/shop/ci_workflows/build/trigger HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    limit = quantity(running.manifests.container["resources"]["limits"]["memory"])
    limit -= quantity(running.manifests.volume("journal")[0]["emptyDir"]["sizeLimit"])
    with contextlib.ExitStack() as calls:
        for _ in range(number):
            calls.enter_context(running.on("http").connect()).sendall(head + body)
        until(lambda: len(upstream.received) == number)
        release.set()
    most = Path(f"/proc/{running.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    assert int(most) >> 10 < 1.15 * int(found[1])
    assert int(most) << 10 < limit


def test_what_stands_in_for_a_freeze_refuses_new_callers_alone(
    manifests: Manifests, upstream: Upstream, tmp_path: Path
) -> None:
    [lifecycle] = [yaml.safe_load(block)["lifecycle"] for block in blocks("yaml") if "brownouts" in block]
    [brownout] = lifecycle["brownouts"]
    brownout["from"], brownout["to"], lifecycle["sunset"] = "2000-01-01", "2999-01-01", "2999-01-01"
    known = [{"name": brownout["except"][0], "agent": "nightly/*"}]
    stands_in = {"TRIGGER_SHIM__LIFECYCLE": json.dumps(lifecycle), "TRIGGER_SHIM__CALLERS__KNOWN": json.dumps(known)}
    with serving(manifests, tmp_path / "pod", upstream.url, **stands_in) as running:
        assert running.on("http").call(headers={"User-Agent": "nightly/1"}).status == 200
        assert running.on("http").call(headers={"User-Agent": "new/1"}).status == 410
    freeze = {"TRIGGER_SHIM__LIFECYCLE__FREEZE": "2026-11-10", "TRIGGER_SHIM__LEDGER": "null"}
    with pytest.raises(config.ConfigError, match=r"lifecycle\.freeze: needs a ledger"):
        config.load(str(tmp_path / "pod" / "config.yaml"), freeze)
