import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from proxy import __version__, config
from proxy.commands import health
from tests.deploy.compose import SERVICES
from tests.deploy.engine import BIN, DOCKERFILE, FOLDER, IMAGE, Container, Engine
from tests.support.processes import events
from tests.support.proxy import Proxy
from tests.support.sockets import free_port
from tests.support.upstream import Upstream, held
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)  # the image takes minutes to build

TEXT = DOCKERFILE.read_text(encoding="utf-8")
USER = 65532


def test_hadolint_finds_nothing() -> None:
    ran = subprocess.run([str(BIN / "hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_health_check_is_given_more_time_than_the_command_takes() -> None:
    assert float(TEXT.partition("--timeout=")[2].partition("s ")[0]) > health.TIMEOUT + 1


def test_the_version_is_that_of_the_project() -> None:
    assert f"ARG VERSION={__version__}\n" in TEXT
    assert SERVICES["proxy-1"]["image"] == IMAGE


def test_the_configuration_in_the_image_is_for_a_container() -> None:
    given = yaml.safe_load((FOLDER / "trigger-shim" / "config.yaml").read_text(encoding="utf-8"))
    assert given == {"listen": "0.0.0.0:8080", "admin": "0.0.0.0:9901", "callers": {"log": "-"}, "ledger": None}


def test_the_readme_names_what_there_is() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"(?:[`|] |`|exec proxy-1 )trigger-shim ([a-z]+)|trigger-shim:\S+ ([a-z]+)`", text)
    assert {first or second for first, second in commands} == {"health", "callers", "check"}
    for name in re.findall(r"TRIGGER_SHIM__\w+", text):
        config.load(None, {name: "https://made-up.example"})
    assert set(re.findall(r"trigger-shim:(\d\S+)", text.replace("`", " "))) == {__version__}
    given = float(text.partition("--stop-timeout ")[2].split()[0])
    assert f"{given:g}s" == SERVICES["proxy-1"]["stop_grace_period"]


# --- the image


def test_the_image_says_what_it_is_and_how_it_is_run(engine: Engine) -> None:
    image = engine.image()
    assert {name.rpartition(".")[2]: value for name, value in image["Labels"].items() if "opencontainers" in name} == {
        "title": "trigger-shim",
        "description": "Keeps old CI tooling working on a withdrawn SourceCraft endpoint",
        "licenses": "MIT",
        "version": __version__,
        "source": "source-of-the-test",
        "revision": "revision-of-the-test",
        "created": "created-of-the-test",
        "name": "gcr.io/distroless/python3-debian13:nonroot",
    }
    settings = image["Config"]
    assert settings["User"] == f"{USER}:{USER}"
    assert settings["StopSignal"] == "SIGTERM"
    assert image["Healthcheck"]["Test"] == ["CMD", "/opt/trigger-shim/bin/trigger-shim", "health"]
    assert not any("secret" in variable.lower() for variable in settings["Env"])


FOUND = """
import json, os, pathlib, shutil, sys
import proxy.gateway.processes.serve
specs = [module.__spec__ for module in sys.modules.values() if getattr(module, "__spec__", None)]
cached = [spec.cached for spec in specs if spec.has_location and spec.cached]
print(json.dumps({
    "version": sys.version_info[:2],
    "programs": [name for name in ("sh", "bash", "dash", "pip", "pip3", "apt-get", "cc") if shutil.which(name)],
    "pip": [str(path) for path in pathlib.Path("/opt").rglob("pip")],
    "files": os.listdir("."),
    "secrets": [str(path) for folder in ("/opt", "/etc", "/var") for path in pathlib.Path(folder).rglob("*")
                if path.suffix in {".env", ".pem"} and "certifi" not in str(path)],
    "compiled": sum(map(os.path.exists, cached)),
    "to compile": [path for path in cached if not os.path.exists(path)],
}))
"""


def test_the_image_holds_the_program_and_nothing_to_break_in_with(engine: Engine) -> None:
    ran = engine.once("--entrypoint=python", IMAGE, "-c", FOUND)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["version"] == [3, 13]
    assert found["programs"] == found["pip"] == found["secrets"] == []
    assert found["files"] == ["config.yaml"]
    assert found["compiled"] > 200
    assert found["to compile"] == []


def test_any_command_reads_the_configuration_of_the_image(engine: Engine) -> None:
    ran = engine.once(IMAGE, "check", "--no-log")
    assert ran.returncode == 0, ran.stderr
    assert yaml.safe_load(ran.stdout)["callers"]["log"] == "-"
    refused = engine.once("--env=TRIGGER_SHIM__LISTEN=nowhere", IMAGE)
    assert refused.returncode == 2
    assert '"event":"configuration_invalid","message":"listen: \'nowhere\' is not a valid address' in refused.stderr


# --- the container


@contextlib.contextmanager
def proxy_in(engine: Engine, url: str, *options: str, **more: str) -> Iterator[tuple[Container, Proxy, Proxy]]:
    """The image in front of an upstream, once it is ready, with its two listeners."""
    ports = [free_port(), free_port()]
    proxy, admin = (Proxy("127.0.0.1", port, Path("/nowhere")) for port in ports)
    variables = {"LISTEN": f"127.0.0.1:{proxy.port}", "ADMIN": f"127.0.0.1:{admin.port}", "UPSTREAM__URL": url, **more}
    environment = {f"TRIGGER_SHIM__{name}": value for name, value in variables.items()}
    with engine.running(*options, **environment) as container:
        until(lambda: _is_ready(admin))
        yield container, proxy, admin


def _is_ready(admin: Proxy) -> bool:
    with contextlib.suppress(OSError):
        return admin.call("/readyz", None, method="GET").status == 200
    return False


def test_it_forwards_a_call_and_its_output_is_the_caller_log(engine: Engine, upstream: Upstream) -> None:
    with proxy_in(engine, upstream.url) as (container, proxy, _):
        assert container.check() == 0
        assert proxy.call().json()["flux_public_id"] == "7"
        status = Path(f"/proc/{container.process()}/status").read_text()
        assert container.exec("sh", "-c", "true").returncode == 127
        assert container.stop() == 0
        log, said = container.said()
    assert [received.target for received in upstream.received] == ["/repos/acme/shop/cicd/runs"]
    assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}" in status
    assert f"CapBnd:\t{0:016x}" in status
    assert [json.loads(line)["event"] for line in log.splitlines()] == ["heartbeat", "deprecated_call", "heartbeat"]
    assert [event["event"] for event in events(said)] == ["fingerprint_key_missing"]
    command = [str(BIN / "trigger-shim"), "callers", "--format", "json", "-"]
    report = subprocess.run(command, input=log + said, capture_output=True, text=True, check=True)
    assert json.loads(report.stdout)["read"] == {"files": 1, "calls": 1, "heartbeats": 2, "skipped": 2}


def test_a_stop_waits_for_the_calls_under_way_and_is_seen_by_the_health_check(
    engine: Engine, upstream: Upstream
) -> None:
    release = threading.Event()
    upstream.script = held(release)
    answers = []
    with proxy_in(engine, upstream.url, LIMITS__DRAIN_DELAY="300") as (container, proxy, admin):
        call = threading.Thread(target=lambda: answers.append(proxy.call().status), daemon=True)
        call.start()
        assert upstream.arrived.wait(20)
        container.signal("TERM")
        until(lambda: not _is_ready(admin))
        assert container.check() == 1
        release.set()
        call.join(20)
        assert container.stop() == 0
    assert answers == [200]


@pytest.mark.parametrize("user", [f"{USER}:{USER}", "1000650000:0"], ids=["image", "any of group 0"])
def test_in_a_volume_the_log_is_there_for_the_reports(engine: Engine, upstream: Upstream, user: str) -> None:
    log = SERVICES["proxy-1"]["environment"]["TRIGGER_SHIM__CALLERS__LOG"]
    volume = f"--volume={Path(log).parent}"  # one without a name, which is new
    ledger = str(Path(log).with_suffix(".db"))
    options = (volume, f"--user={user}")
    with proxy_in(engine, upstream.url, *options, CALLERS__LOG=log, LEDGER=ledger) as (container, proxy, admin):
        assert proxy.call().status == 200

        def reported() -> int:
            ran = container.exec("trigger-shim", "callers", "--format", "json")
            assert ran.returncode == 0, ran.stderr
            calls: int = json.loads(ran.stdout)["read"]["calls"]
            return calls

        until(lambda: reported() == 1)
        page = admin.call("/callers.json", None, method="GET")
        assert (page.status, page.json()["read"]["calls"]) == (200, 1)
        assert container.stop() == 0
        written, said = container.said()
        assert (written, events(said)) == ("", [])


def test_of_two_workers_one_that_dies_is_replaced_and_leaves_nothing(engine: Engine, upstream: Upstream) -> None:
    with proxy_in(engine, upstream.url, WORKERS="2") as (container, proxy, _):
        # Ready is what one of them makes it; one that is killed before it has served ends the proxy, as it should.
        until(lambda: container.said()[0].count('"at":"start"') == 2)
        first = _two(container.process())
        os.kill(first[0], signal.SIGKILL)
        until(lambda: _two(container.process()) not in {first, ()})
        assert proxy.call().status == 200
        assert container.check() == 0
        assert container.stop() == 0


def _two(process: int) -> tuple[int, ...]:
    """The processes below a process, once there are two, of which none is dead."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    states = {Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] for child in found}
    return tuple(sorted(map(int, found))) if len(found) == 2 and "Z" not in states else ()


def test_the_policy_changes_with_a_signal(engine: Engine, upstream: Upstream, tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "trigger-shim", settings := tmp_path / "settings")
    with proxy_in(engine, upstream.url, f"--volume={settings}:/etc/trigger-shim:ro") as (container, proxy, _):
        assert proxy.call().header("sunset") is None
        replacement = settings / "config.yaml.new"  # as an editor does it
        replacement.write_text((settings / "config.yaml").read_text() + "lifecycle: {sunset: 2100-01-01}\n")
        replacement.rename(settings / "config.yaml")
        container.signal("HUP")
        until(lambda: proxy.call().header("sunset") is not None)
        assert container.stop() == 0
