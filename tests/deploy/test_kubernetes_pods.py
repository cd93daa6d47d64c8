"""The proxy as both overlays run it: probed, called, asked who calls, frozen, stopped and killed."""

import contextlib
import csv
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.callers.lines import beats, call
from tests.deploy.manifests import FOLDER, OVERLAYS, README, Manifests, commands, monitor, quantity
from tests.deploy.pods import OF_OPENSHIFT, OF_THE_IMAGE, Container, Pod, confined, serving
from tests.support.disks import mounted
from tests.support.ledgers import fill, stored_calls
from tests.support.postgresql import Postgresql
from tests.support.proxy import HEAD
from tests.support.upstream import Upstream, held
from tests.support.waiting import until

CALL = f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode()


@pytest.fixture(scope="module")
def single() -> Manifests:
    return Manifests(FOLDER / "single")


@pytest.fixture(scope="module")
def fleet() -> Manifests:
    return Manifests(FOLDER / "fleet")


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    found: Manifests = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def ledger(manifests: Manifests, request: pytest.FixtureRequest) -> str:
    """The address that the Secret has; empty where there is none."""
    if manifests.overlay == "single":
        return ""
    database: Postgresql = request.getfixturevalue("server")
    return database.new_database()


@pytest.fixture(scope="module")
def service() -> Iterator[Upstream]:
    with Upstream().running() as running:
        yield running


@pytest.fixture(scope="module")
def running(
    manifests: Manifests, service: Upstream, tmp_path_factory: pytest.TempPathFactory, ledger: str
) -> Iterator[Container]:
    """One that several tests call, each under a name of its own."""
    with serving(manifests, tmp_path_factory.mktemp("pod") / "pod", service.url, ledger) as running:
        yield running


def test_a_pod_passes_its_probes_and_forwards_what_comes_by_the_service(running: Container, service: Upstream) -> None:
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert running.probe(kind).status == 200
    [port] = running.manifests.spec("Service", "trigger-shim")["ports"]
    before = len(service.received)
    answer = running.on(port["targetPort"]).call(headers={"User-Agent": "probed/1"})
    assert (answer.status, answer.json()["flux_id"]) == (200, "7")
    [record] = [record for record in running.records() if record["user_agent"] == "probed/1"]
    assert (record["outcome"], record["run"]) == ("forwarded", "7")
    assert len(service.received) == before + 1


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


def test_both_overlays_have_the_same_limits(single: Manifests, fleet: Manifests, tmp_path: Path) -> None:
    assert single.settings(tmp_path).limits == fleet.settings(tmp_path).limits
    assert single.container["resources"]["limits"]["memory"] == fleet.container["resources"]["limits"]["memory"]
    for probe in ("livenessProbe", "readinessProbe"):
        assert single.container[probe] == fleet.container[probe]


def test_the_largest_calls_fit_into_memory_and_a_pod_that_stops_still_takes_calls(
    fleet: Manifests, upstream: Upstream, server: Postgresql, tmp_path: Path
) -> None:
    found = re.search(r"(\d+) MiB with as many\s+bodies as `limits.buffered` allows", README)
    assert found is not None
    with serving(fleet, tmp_path / "pod", upstream.url, server.new_database()) as running:
        call_with_the_largest_bodies(running, upstream, tmp_path)
        most = Path(f"/proc/{running.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
        limit = quantity(running.manifests.container["resources"]["limits"]["memory"])
        limit -= quantity(running.manifests.volume("journal")[0]["emptyDir"]["sizeLimit"])
        assert int(most) >> 10 < 1.15 * int(found[1])
        assert int(most) << 10 < limit

        running.process.send_signal(signal.SIGTERM)
        until(lambda: running.probe("readinessProbe").status == 503)
        assert running.probe("livenessProbe").status == 200
        assert running.on("http").call().status == 200


def call_with_the_largest_bodies(running: Container, upstream: Upstream, folder: Path) -> None:
    limits = running.manifests.settings(folder).limits
    number = limits.buffered // limits.body
    release = threading.Event()
    upstream.script = held(release)
    body = b'{"input":{"values":[{"name":"a","value":"%s"}]}}' % (b"x" * (limits.body - 64))
    head = b"POST /acme/shop/ci_workflows/build/trigger HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    with contextlib.ExitStack() as calls:
        for _ in range(number):
            calls.enter_context(running.on("http").connect()).sendall(head + body)
        until(lambda: len(upstream.received) == number)
        release.set()


# --- the migration


def test_every_command_of_the_plan_and_the_page_work_in_a_pod(running: Container) -> None:
    assert running.on("http").call().status == 200
    ledger = running.pod.ledger or str(running.pod.folder / "callers" / "callers.db")
    until(lambda: stored_calls(ledger) > 0)
    [caller] = csv.DictReader(running.run("callers", "--format", "csv").stdout.splitlines())
    plan = [command for command in commands("kubectl exec") if "-- trigger-shim " in command]
    assert len(plan) >= 4
    for command in plan:
        arguments = shlex.split(command.partition("-- trigger-shim ")[2].replace("nightly", caller["caller"]))
        given = ""
        if "<" in arguments:
            given = running.pod.seen(running.manifests.config) + "lifecycle: {sunset: 2999-01-01}\n"
            assert "--stdin" in command
            del arguments[arguments.index("<") :]
        ran = running.run(*arguments, given=given)
        assert (ran.returncode, caller["caller"] in ran.stdout) == (0, True), (command, ran.stderr)
        assert "sunset: permanently refused" in ran.stdout or not given
    [forwarded] = commands("kubectl port-forward")
    [page] = re.findall(r"http://localhost:9901(/\w+)", forwarded)
    answer = running.on(9901).call(page, None, method="GET")
    assert (answer.status, caller["caller"].encode() in answer.body) == (200, True)


def test_a_freeze_holds_in_every_pod(fleet: Manifests, upstream: Upstream, tmp_path: Path, server: Postgresql) -> None:
    freeze, ledger = datetime.now(UTC) - timedelta(days=3), server.new_database()
    before = call(freeze - timedelta(days=35), user_agent="nightly/1")
    fill(ledger, *beats(freeze - timedelta(days=40), freeze + timedelta(days=2)), before)
    policy = {
        "TRIGGER_SHIM__LIFECYCLE__FREEZE": freeze.isoformat(),
        "TRIGGER_SHIM__CALLERS__KNOWN": '[{name: nightly, agent: "nightly/*"}]',
    }
    for number in range(2):
        with serving(fleet, tmp_path / f"pod-{number}", upstream.url, ledger, **policy) as running:
            until(partial(is_refused, running, "new/1"))
            assert not is_refused(running, "nightly/1")


def is_refused(running: Container, agent: str) -> bool:
    return running.on("http").call(headers={"User-Agent": agent}).status == 410


# --- a fleet


def test_two_pods_are_one_to_leads_to_reports_and_to_retries(
    fleet: Manifests, upstream: Upstream, tmp_path: Path, server: Postgresql
) -> None:
    address, names = server.new_database(), ("trigger-shim-1", "trigger-shim-2")
    with (
        serving(fleet, tmp_path / names[0], upstream.url, address) as one,
        serving(fleet, tmp_path / names[1], upstream.url, address) as other,
    ):
        for pod in (one, other):
            assert pod.on("http").call().status == 200
        until(lambda: stored_calls(address) == 2)
        (tmp_path / "config.yaml").write_text(fleet.config)  # where there are no Secrets
        leads_need_only_the_ledger(address, tmp_path)
        pods_have_as_many_connections_as_the_readme_says(address)
        the_report_reads_the_output_of_all(dict(zip(names, (one, other), strict=True)), tmp_path)
        # The other pod may still know nothing of the lost call at the moment when it has the retry.
        until(partial(is_taken_over, one, other, upstream, itertools.count()))


def leads_need_only_the_ledger(address: str, folder: Path) -> None:
    plan = commands("trigger-shim")
    assert len(plan) >= 2
    for command in plan:
        arguments = re.sub(r"postgresql://\S+", address, command).split()[1:]
        assert address in arguments
        words = [sys.executable, "-m", "proxy", *arguments, *(["--format", "csv"] if "callers" in arguments else [])]
        ran = subprocess.run(words, check=False, capture_output=True, text=True, cwd=folder, timeout=60)
        assert ran.returncode == 0, ran.stderr
        assert "callers" not in arguments or is_one_caller_with_two_calls(ran.stdout)


def is_one_caller_with_two_calls(report: str) -> bool:
    [row] = csv.DictReader(report.splitlines())
    return (row["caller"][:6], row["calls"]) == ("token:", "2")


def pods_have_as_many_connections_as_the_readme_says(address: str) -> None:
    [number] = re.findall(r"A pod has (\w+) connections to PostgreSQL", README)
    query = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'trigger-shim' AND datname = %s"
    with psycopg.connect(address, autocommit=True) as connection:
        expected = ({"three": 3}[number] * 2,)
        until(lambda: connection.execute(query, [address.rpartition("/")[2]]).fetchone() == expected)


def the_report_reads_the_output_of_all(pods: dict[str, Container], folder: Path) -> None:
    outputs = []
    for name, running in pods.items():
        (running.pod.folder / "config" / "config.yaml").unlink()
        running.process.send_signal(signal.SIGHUP)  # it says so on standard error, which is in the same output
        until(lambda output=running.output: "reload_refused" in output.read_text())  # type: ignore[misc]
        outputs += [f"[pod/{name}/trigger-shim] {line}" for line in running.output.read_text().splitlines()]
    [command] = commands("kubectl logs")
    arguments = command.partition("| trigger-shim ")[2].split()
    report = [sys.executable, "-m", "proxy", *arguments, "--format", "csv"]
    said = subprocess.run(report, input="\n".join(outputs), check=True, capture_output=True, text=True, cwd=folder)
    assert is_one_caller_with_two_calls(said.stdout)


def is_taken_over(one: Container, other: Container, upstream: Upstream, numbers: Iterator[int]) -> bool:
    """Lose a call at one pod, repeat it at the other one, and return whether both are one run."""
    body, before, release = b'{"revision":"r%d"}' % next(numbers), len(upstream.received), threading.Event()
    upstream.script = held(release)
    head = f"{HEAD}Authorization: Bearer secret-token\r\nContent-Length: {len(body)}\r\n\r\n"
    with one.on("http").wire(head.encode() + body) as caller:
        until(lambda: len(upstream.received) > before)
        caller.reset()
    until(partial(is_lost, one.pod.ledger))
    release.set()
    answer = other.on("http").call(body=body).json()
    return answer["trigger_status"] == "already_exists" and len(upstream.received) == before + 1


def is_lost(ledger: str) -> bool:
    """Whether the ledger has a lost try that has no run yet."""
    with psycopg.connect(ledger) as connection:
        return connection.execute("SELECT COUNT(*) FROM tries WHERE run IS NULL").fetchone() == (1,)


# --- what is left behind


def test_the_volume_keeps_the_calls_for_the_next_pod_and_through_rotation(
    single: Manifests, upstream: Upstream, tmp_path: Path
) -> None:
    [rotation] = [command for command in commands("kubectl exec") if "-- python3 -c " in command]
    at_once = {"TRIGGER_SHIM__LIMITS__DRAIN_DELAY": "0"}
    pod = Pod(single, tmp_path / "pod", {"TRIGGER_SHIM__UPSTREAM__URL": upstream.url, **at_once})
    for calls in ("2", "4"):
        with pod.container() as running:
            assert running.on("http").call().status == 200
            if calls == "2":
                subprocess.run([sys.executable, "-c", pod.seen(shlex.split(rotation)[-1])], check=True)
            assert running.on("http").call().status == 200
            running.process.terminate()
            assert running.process.wait(60) == 0
            [row] = csv.DictReader(running.run("callers", "--format", "csv").stdout.splitlines())
            assert row["calls"] == calls
    assert len(list((pod.folder / "callers").glob("callers.jsonl*"))) == 2


def test_a_container_that_is_killed_leaves_its_calls_to_the_next_one_in_its_pod(
    manifests: Manifests, upstream: Upstream, tmp_path: Path, ledger: str
) -> None:
    user = OF_OPENSHIFT if manifests.overlay == "single" else OF_THE_IMAGE
    release = threading.Event()
    upstream.script = held(release)
    memory, folder = tmp_path / "memory", tmp_path / "pod"
    size = int(quantity(manifests.volume("journal")[0]["emptyDir"]["sizeLimit"]))
    with mounted(memory, "-t", "tmpfs", "-o", f"size={size},mode=777", "none"):
        pod = Pod(manifests, folder, {"TRIGGER_SHIM__UPSTREAM__URL": upstream.url}, ledger)
        pod.runtime = confined(manifests, folder, memory, user)
        if manifests.overlay == "single":  # as the kubelet does it
            os.chown(folder / "callers", 0, user.others)
            (folder / "callers").chmod(0o2770)
        with pod.container() as running, running.on("http").connect() as caller:
            caller.sendall(CALL)
            assert upstream.arrived.wait(20)
            who = Path(f"/proc/{running.process.pid}/status").read_text()
            running.process.kill()
            running.process.wait()
            assert running.records() == []
        with pod.container() as running:
            [record] = until(running.records)
            warnings = [line for line in running.output.read_text().splitlines() if not line.startswith("{")]
            until(lambda: "strangers in 127.0.0.0/24" in running.run("callers").stdout)
        release.set()
    assert (record["outcome"], record["endpoint"]) == ("interrupted", "trigger")
    assert f"Uid:\t{user.user}\t" in who
    assert len(re.findall(r"^(?:Cap(?:Eff|Bnd):\t0+|NoNewPrivs:\t1)$", who, re.MULTILINE)) == 3
    assert warnings == []
