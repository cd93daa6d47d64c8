import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
import yaml

from proxy import config
from proxy.gateway.processes.supervisor import PATIENCE
from proxy.gateway.server.server import GRACE
from tests.deploy.compose import COMPOSE, PROXIES, SERVICES, SETTINGS
from tests.deploy.engine import FOLDER, IMAGE, ONE_HIERARCHY, Engine, Made
from tests.deploy.tools import adapted
from tests.support.paths import ROOT, package
from tests.support.processes import running
from tests.support.programs import program
from tests.support.proxy import TRIGGER
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)  # the image takes minutes to build

ADDRESS = "postgresql://trigger_shim:password@postgresql/ledger"
ADDRESSES = {
    "ledger": "postgresql://trigger_shim:([0-9a-f]{48})@postgresql/ledger",
    "lead": "postgresql://trigger_shim_lead:([0-9a-f]{48})@127.0.0.1/ledger",
}


def test_the_compose_file_is_one() -> None:
    schema = package("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    validator = jsonschema_rs.Draft202012Validator(json.loads(schema.read_bytes()))
    validator.validate(COMPOSE)
    assert not validator.is_valid({**COMPOSE, "service": {}})


def test_only_the_port_for_callers_is_published_beyond_this_machine() -> None:
    published = [(name, port) for name, service in SERVICES.items() for port in service["ports"]]
    assert [entry for entry in published if not entry[1].startswith("127.0.0.1:")] == [
        ("nginx", f"{SETTINGS.listen.name}:8080")
    ]


def test_no_service_can_become_more_than_it_is() -> None:
    for service in SERVICES.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert {name for name, service in SERVICES.items() if not service.get("read_only")} == {"grafana"}


def test_a_stop_gives_the_calls_under_way_their_time() -> None:
    limits = SETTINGS.limits
    given = float(SERVICES["proxy-1"]["stop_grace_period"].removesuffix("s"))
    assert given > limits.drain_delay + limits.drain + GRACE + PATIENCE


def test_what_is_mounted_is_there() -> None:
    mounted = [volume.split(":") for service in SERVICES.values() for volume in service["volumes"]]
    files = [source for source, *_ in mounted if source.startswith(".")]
    assert files
    assert [file for file in files if not (FOLDER / file).exists()] == []
    assert {source for source, *_ in mounted if not source.startswith(".")} == set(COMPOSE["volumes"])
    assert all(rest[-1] == "ro" for source, *rest in mounted if source.startswith("."))


def test_the_proxies_differ_in_their_names_and_nothing_else() -> None:
    one, other = (json.dumps(SERVICES[name], sort_keys=True) for name in PROXIES)
    for here, there in (("proxy-1", "proxy-2"), ("callers-1", "callers-2"), (":9901:", ":9902:"), (".11", ".12")):
        assert here in one
        one = one.replace(here, there)
    assert one == other
    assert all(SERVICES[name]["hostname"] == name for name in PROXIES)


def test_the_variables_of_the_compose_file_are_those_of_the_proxy(tmp_path: Path) -> None:
    (ledger := tmp_path / "ledger").write_text(ADDRESS)
    given = {**SERVICES["proxy-1"]["environment"], "TRIGGER_SHIM__LEDGER_FILE": str(ledger)}
    read = config.load(None, given)
    assert read.callers.log == "/var/log/trigger-shim/callers.jsonl"
    assert read.ledger == ADDRESS
    trusted = [network for network in map(str, read.callers.trusted_proxies) if not network.startswith("127.")]
    assert trusted == [f"{address('nginx')}/32"]


def address(service: str) -> str:
    [[name, network]] = SERVICES[service]["networks"].items()
    [subnet] = COMPOSE["networks"][name]["ipam"]["config"]
    assert ip_address(network["ipv4_address"]) in ip_network(subnet["subnet"])
    return str(network["ipv4_address"])


def test_nginx_knows_the_addresses_of_the_proxies() -> None:
    text = (FOLDER / "nginx.conf").read_text()
    assert re.findall(r"^ +server ([\d.:]+) ", text, re.MULTILINE) == [f"{address(name)}:8080" for name in PROXIES]


def test_each_secret_is_in_a_file_and_goes_to_whom_it_concerns() -> None:
    assert COMPOSE["secrets"] == {name: {"file": f"secrets/{name}"} for name in ("postgresql", "ledger", "lead")}
    given = {name: service["secrets"] for name, service in SERVICES.items() if "secrets" in service}
    assert given == {"proxy-1": ["ledger"], "proxy-2": ["ledger"], "postgresql": ["postgresql", "ledger", "lead"]}
    assert "/deploy/container/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_secrets_are_made_once_and_only_their_owner_gets_to_them(tmp_path: Path) -> None:
    script = shutil.copy(FOLDER / "make-secrets", tmp_path)
    subprocess.run([script], check=True, umask=0o077)
    made = tmp_path / "secrets"
    assert made.stat().st_mode & 0o777 == 0o700
    contents = {file.name: file.read_text() for file in made.iterdir()}
    assert {file.stat().st_mode & 0o777 for file in made.iterdir()} == {0o644}
    assert re.fullmatch(r"[0-9a-f]{48}", contents.pop("postgresql"))
    passwords = [re.fullmatch(ADDRESSES[name], content.strip()) for name, content in contents.items()]
    assert len({found[1] for found in passwords if found}) == 2

    again = subprocess.run([script], capture_output=True, check=False)
    assert again.returncode != 0
    assert {file.name: file.read_text() for file in made.iterdir()}.items() >= contents.items()


def test_prometheus_takes_its_configuration_and_finds_the_proxy(tmp_path: Path) -> None:
    rules = {"  - rules.yaml": f"  - {ROOT / 'deploy' / 'monitoring' / 'rules.yaml'}"}
    (file := tmp_path / "prometheus.yml").write_text(adapted(FOLDER / "prometheus.yml", rules))
    command = [program("promtool"), "check", "config", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert SETTINGS.admin is not None
    [job] = yaml.safe_load(file.read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"{name}:{SETTINGS.admin.name}" for name in PROXIES]}]


def test_grafana_is_told_where_prometheus_is_and_where_the_dashboards_are() -> None:
    [source] = yaml.safe_load((FOLDER / "grafana" / "datasources.yaml").read_text())["datasources"]
    [provider] = yaml.safe_load((FOLDER / "grafana" / "dashboards.yaml").read_text())["providers"]
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert source["url"] == "http://prometheus:9090"
    assert (source["type"], source["uid"], source["isDefault"]) == ("prometheus", "prometheus", True)
    assert Path(mounted["../monitoring/dashboard.json"]).parent == Path(provider["options"]["path"])


# --- run by docker-compose

PROMETHEUS = Made(
    "extract",
    "base-files,prometheus",
    hooks=('mkdir "$1/prometheus"', 'chown 65534:65534 "$1/prometheus"'),
    changes=('ENTRYPOINT ["/usr/bin/prometheus"]', "USER 65534"),
)
NGINX = Made(
    "extract",
    "base-files,nginx-light",
    hooks=('ln -sf /dev/stderr "$1/var/log/nginx/error.log"',),
    changes=('ENTRYPOINT ["/usr/sbin/nginx", "-g", "daemon off;"]',),
)
POSTGRESQL = Made(
    "extract",
    "base-files,coreutils,dash,postgresql-17",
    hooks=(
        'mkdir -p "$1/var/lib/postgresql/data" "$1/docker-entrypoint-initdb.d"',
        'chown 999:999 "$1/var/lib/postgresql/data"',
        'echo "postgres:x:999:999::/var/lib/postgresql:/bin/sh" >"$1/etc/passwd"',
        f"""cp '{Path(__file__).with_name("postgresql-entrypoint")}' "$1/entrypoint\"""",
    ),
    changes=(
        "ENV PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin",
        "ENV PGDATA=/var/lib/postgresql/data",
        'ENTRYPOINT ["/bin/sh", "/entrypoint"]',
        "STOPSIGNAL SIGINT",
    ),
)
NETWORK = """
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
HELPERS = Path("/usr/lib/podman")
UNREACHABLE = 'trigger_shim_calls_total{outcome="unreachable"} > 0'
STAYS = "ip link set lo up && echo && exec cat"


class Composed:
    """The services of compose.yaml, in a network namespace of their own, run by docker-compose on podman.

    Args:
        engine: has the images.
        file: compose.yaml, with the files of deploy/ around it.
        inside: a process in the namespace.
    """

    def __init__(self, engine: Engine, file: Path, inside: int) -> None:
        docker = program("docker-compose")
        self._folder = file.parent
        self._compose = [docker, "--project-name=trigger-shim", f"--file={file}"]
        self._enter = ["nsenter", f"--target={inside}", "--mount", "--net"]
        self._podman = engine.podman
        self._socket = engine.folder / "docker.sock"
        settings = engine.folder / "networked.conf"
        network = NETWORK.format(folder=engine.folder)
        settings.write_text((engine.folder / "containers.conf").read_text() + network)
        more = {"CONTAINERS_CONF": str(settings), "DOCKER_HOST": f"unix://{self._socket}"}
        self._environment = {**engine.environment, **more}

    @contextlib.contextmanager
    def up(self, *services: str) -> Iterator[None]:
        """Have services run; those that they depend on are built already."""
        serve = [*self._enter, self._podman, "system", "service", "--time=0", f"unix://{self._socket}"]
        with running(subprocess.Popen(serve, env=self._environment, stderr=subprocess.DEVNULL)):
            try:
                until(self._socket.exists)
                self.compose("up", "--detach", "--no-build", *services)
                yield
            finally:
                self.compose("down", "--volumes")

    def compose(self, *arguments: str) -> str:
        """What a command of docker-compose prints, which must work."""
        ran = self._run(*self._compose, *arguments)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def works(self, *arguments: str) -> bool:
        """Whether a command of docker-compose works."""
        return self._run(*self._compose, *arguments).returncode == 0

    def listens(self, address: str, port: int) -> bool:
        """Whether a connection can be made."""
        return self._run("nc", "-z", "-w", "2", address, str(port)).returncode == 0

    def ask(self, url: str, *options: str) -> str:
        """What there is at a URL; nothing where nobody answers."""
        return self._run("curl", "--silent", "--max-time", "20", *options, url).stdout

    def secret(self, name: str) -> str:
        """What make-secrets has made."""
        return (self._folder / "secrets" / name).read_text().strip()

    def outside(self) -> str:
        """An address of the namespace that is not loopback."""
        links = json.loads(self._run("ip", "-json", "-4", "address", "show", "type", "bridge").stdout)
        [address] = [held["local"] for link in links for held in link.get("addr_info", [])]
        return str(address)

    def _run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        inside = [*self._enter, *command]
        return subprocess.run(inside, env=self._environment, capture_output=True, text=True, check=False)


@pytest.fixture
def composed(engine: Engine, tmp_path: Path) -> Iterator[Composed]:
    """Ready to run, with Debian's programs in the places of the published images, and no way to anywhere."""
    for helper in (str(HELPERS / "netavark"), str(HELPERS / "aardvark-dns"), "nc"):
        program(helper)
    for name, made in (("prometheus", PROMETHEUS), ("nginx", NGINX), ("postgresql", POSTGRESQL)):
        engine.make(SERVICES[name]["image"], made)
    deploy = Path(shutil.copytree(ROOT / "deploy", tmp_path / "deploy"))
    tmp_path.chmod(0o755)
    folder = deploy / FOLDER.name
    subprocess.run([folder / "make-secrets"], check=True)
    # This docker-compose does not know the first line yet; podman wants to be told that the image is here, and needs
    # systemd to look at the health of a container by itself.
    changes = {"name: trigger-shim\n": "", f"image: {IMAGE}": f"image: localhost/{IMAGE}"}
    changes["condition: service_healthy"] = "condition: service_started"
    (folder / "compose.yaml").write_text(adapted(FOLDER / "compose.yaml", changes))
    settings = folder / "trigger-shim" / "config.yaml"
    settings.write_text(settings.read_text() + 'upstream: {url: "http://127.0.0.1:9"}\n')
    (folder / "prometheus.yml").write_text(adapted(FOLDER / "prometheus.yml", {"15s": "1s"}))
    apart = ["unshare", "--mount", "--net", "sh", "-c", ONE_HIERARCHY, "sh", "sh", "-c", STAYS]
    with running(subprocess.Popen(apart, stdin=subprocess.PIPE, stdout=subprocess.PIPE)) as inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == b"\n"
        yield Composed(engine, folder / "compose.yaml", inside.pid)


def test_together_they_work(composed: Composed) -> None:
    healthy = ["exec", "-T", "postgresql", *SERVICES["postgresql"]["healthcheck"]["test"][1:]]
    with composed.up("nginx", "prometheus"):
        until(lambda: composed.works(*healthy))
        until(lambda: all(composed.ask(f"http://127.0.0.1:{port}/readyz") == "ready\n" for port in (9901, 9902)))
        for _ in range(4):
            assert trigger(composed)["error_code"] == "UpstreamUnreachable"
        until(lambda: len(_prometheus(composed, f"query?query={quote(UNREACHABLE)}").get("result", [])) == 2)
        assert sum(len(group["rules"]) for group in _prometheus(composed, "rules")["groups"]) > 0
        for name in PROXIES:
            composed.compose("exec", "-T", name, "trigger-shim", "health")
            until(lambda name=name: calls(composed, name) == 4)  # type: ignore[misc]

        composed.compose("kill", "proxy-2")
        for _ in range(4):
            assert trigger(composed)["error_code"] == "UpstreamUnreachable"
        until(lambda: calls(composed, "proxy-1") == 8)

        lead = composed.secret("lead").replace("127.0.0.1", "postgresql")
        assert calls(composed, "proxy-1", "--ledger", lead) == 8
        psql = ("exec", "-T", "postgresql", "psql")
        assert composed.works(*psql, composed.secret("lead"), "--command", "SELECT id FROM keys")
        assert not composed.works(*psql, composed.secret("lead"), "--command", "SELECT value FROM secrets")
        assert not composed.works(*psql, composed.secret("lead").replace("@", "x@"), "--command", "SELECT 1")
        outside = composed.outside()
        open_ports = [port for port in (8080, 9901, 9902, 9090, 5432) if composed.listens(outside, port)]
    assert open_ports == [8080]


def trigger(composed: Composed) -> dict[str, Any]:
    return dict(json.loads(composed.ask(f"http://127.0.0.1:8080{TRIGGER}", "--data", "{}")))


def calls(composed: Composed, proxy: str, *options: str) -> int:
    """The number of calls in the report. They had no token, and came by nginx from the gateway of the network."""
    ran = composed.compose("exec", "-T", proxy, "trigger-shim", "callers", "--format", "json", *options)
    return sum(row["calls"] for row in json.loads(ran)["strangers"])


def _prometheus(composed: Composed, what: str) -> dict[str, Any]:
    answer = composed.ask(f"http://127.0.0.1:9090/api/v1/{what}")
    return dict(json.loads(answer)["data"]) if answer.startswith("{") else {}
