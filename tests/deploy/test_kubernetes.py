"""The manifests, by the real kubectl and by the published schemas, and whether their numbers fit the proxy's."""

import json
import re
import shlex
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from proxy import __version__, config
from proxy.callers.ledger import keeper
from proxy.callers.log.journal import SLOT
from proxy.cli import main
from proxy.gateway.server.descriptors import KINDS
from proxy.gateway.server.server import GRACE
from proxy.output.writer import FLUSH
from tests.deploy.manifests import FOLDER, OVERLAYS, README, SECRET, Manifests, blocks, commands, monitor, quantity
from tests.deploy.tools import DEPLOY
from tests.support.paths import ROOT, package
from tests.support.programs import program

[ADDRESS] = blocks("text")
BENCHMARKS = ROOT / "tests" / "bench" / "README.md"


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
def settings(manifests: Manifests, tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return manifests.settings(tmp_path_factory.mktemp("config"))


# --- the objects


SCHEMAS = {
    int(folder.name.split(".")[1]): folder
    for folder in package("kubernetes_validate").glob("kubernetes-json-schema/v1.*-local-strict")
}
"""The folders with the schemas of the minor releases of Kubernetes 1, which allow no unknown key."""


def releases() -> list[int]:
    """Those that the README names, as far as there are schemas."""
    found = re.search(r"Kubernetes 1\.(\d+) or later", README)
    assert found is not None
    return list(range(int(found[1]), max(SCHEMAS) + 1))


@pytest.mark.parametrize("release", releases())
def test_every_object_is_as_the_published_schemas_want_it(single: Manifests, fleet: Manifests, release: int) -> None:
    definitions = json.loads((SCHEMAS[release] / "_definitions.json").read_bytes())
    registry = jsonschema_rs.Registry([("file:///api/_definitions.json", definitions)])
    for each in [*single.all, *fleet.all]:
        group, _, version = each["apiVersion"].rpartition("/")
        name = "-".join([each["kind"].lower(), *filter(None, [group.split(".")[0]]), version])
        schema = json.loads((SCHEMAS[release] / f"{name}.json").read_bytes())
        validator = jsonschema_rs.Draft202012Validator(schema, registry=registry, base_uri="file:///")
        validator.validate(each)
        assert not validator.is_valid({**each, "specification": {}})


def selectors(manifests: Manifests) -> Iterator[tuple[str, dict[str, str]]]:
    for each in [*manifests.of("Deployment"), *manifests.of("PodDisruptionBudget")]:
        yield each["kind"], each["spec"]["selector"]["matchLabels"]
    for name in ("trigger-shim", "trigger-shim-admin"):
        yield name, manifests.spec("Service", name)["selector"]
    for policy in manifests.of("NetworkPolicy"):
        yield policy["metadata"]["name"], policy["spec"]["podSelector"]["matchLabels"]
    yield "PodMonitor", monitor()["spec"]["selector"]["matchLabels"]
    for spread in manifests.pod.get("topologySpreadConstraints", []):
        yield spread["topologyKey"], spread["labelSelector"]["matchLabels"]


def test_whatever_selects_pods_selects_these(manifests: Manifests) -> None:
    labels = manifests.template["metadata"]["labels"].items()
    assert [name for name, selector in selectors(manifests) if not selector or not selector.items() <= labels] == []


def test_the_autoscaler_has_the_deployment_which_leaves_the_number_of_pods_to_it(fleet: Manifests) -> None:
    deployment = fleet.one("Deployment")
    target = {key: deployment[key] for key in ("apiVersion", "kind")} | {"name": deployment["metadata"]["name"]}
    assert fleet.spec("HorizontalPodAutoscaler")["scaleTargetRef"] == target
    assert "replicas" not in deployment["spec"]


def test_a_pod_with_a_volume_is_alone_and_goes_before_the_next_one_comes(single: Manifests) -> None:
    deployment = single.spec("Deployment")
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert not single.of("HorizontalPodAutoscaler") + single.of("PodDisruptionBudget")
    claim = single.one("PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]  # of one node, as SQLite needs it
    assert single.volume("callers")[0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_log_and_ledger_are_on_the_volume_which_only_the_pods_group_may_write(
    single: Manifests, tmp_path: Path
) -> None:
    settings, (_, volume) = single.settings(tmp_path), single.volume("callers")
    assert settings.ledger is not None
    assert {Path(settings.callers.log).parent, Path(settings.ledger).parent} == {Path(volume)}
    assert "fsGroup" in single.pod["securityContext"]
    # Otherwise the kubelet would let the group write to the files that the proxy has made, at each start.
    assert single.pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_the_address_of_the_ledger_is_a_file_that_any_user_of_the_pod_may_read(fleet: Manifests) -> None:
    volume, where = fleet.volume("ledger")
    [command] = commands("kubectl create secret generic trigger-shim-ledger")
    [key] = re.findall(r"--from-file=(\w+)=", command)
    assert volume["secret"]["secretName"] == "trigger-shim-ledger"
    assert fleet.environment()["TRIGGER_SHIM__LEDGER_FILE"] == f"{where}/{key}"
    assert volume["secret"]["defaultMode"] == 0o444


def test_the_image_is_that_of_this_version(manifests: Manifests) -> None:
    assert manifests.container["image"] == f"trigger-shim:{__version__}"


def test_pods_run_what_the_image_is_made_for(manifests: Manifests) -> None:
    dockerfile = dict(re.findall(r"^(\w+) (.*)", (DEPLOY / "container" / "Dockerfile").read_text(), re.MULTILINE))
    pod = manifests.spec("Deployment")["template"]["spec"]
    [container] = pod["containers"]
    assert "command" not in container  # the image's own
    assert container["args"] == json.loads(dockerfile["CMD"])
    assert {str(port["containerPort"]) for port in container["ports"]} == set(dockerfile["EXPOSE"].split())
    # By a name, the kubelet could not tell that it is not root.
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", dockerfile["USER"])


def test_openshift_chooses_user_and_group(manifests: Manifests, tmp_path: Path) -> None:
    # Its restricted-v2 refuses a pod that asks for a user or an fsGroup outside the range of its namespace.
    [patch] = [block for block in blocks("yaml") if block.startswith("patches:")]
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    (overlay := tmp_path / "overlay").mkdir()
    resources = f"resources: [../kubernetes/{manifests.overlay}]\n"
    (overlay / "kustomization.yaml").write_text(resources + (patch if manifests.overlay == "single" else ""))
    pod = Manifests(overlay).pod
    contexts = pod["securityContext"] | pod["containers"][0]["securityContext"]
    assert contexts["runAsNonRoot"] is True
    assert not contexts.keys() & {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"}


def test_a_change_of_the_configuration_is_a_rollout(manifests: Manifests, tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "copy") / manifests.overlay
    assert Manifests(folder).template == manifests.template
    with (folder / "config.yaml").open("a") as file:
        file.write("lifecycle: {sunset: 2027-01-01}\n")
    changed = Manifests(folder)
    assert changed.template != manifests.template
    assert changed.volume("config")[0]["configMap"]["name"] == changed.one("ConfigMap")["metadata"]["name"]


def test_a_pod_is_given_no_more_than_it_asks_for(manifests: Manifests) -> None:
    file = {"TRIGGER_SHIM__LEDGER_FILE"} if manifests.overlay == "fleet" else set()
    assert manifests.environment().keys() == {"TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY"} | file
    assert manifests.pod["automountServiceAccountToken"] is False
    # Those of a service called trigger-shim begin almost like the keys of the configuration.
    assert manifests.pod["enableServiceLinks"] is False


def test_pods_keep_to_the_restricted_standard(manifests: Manifests) -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/: what a namespace can be told to enforce.
    pod, container = manifests.pod, manifests.container
    effective = {**pod["securityContext"], **container["securityContext"]}
    assert effective["runAsNonRoot"] is True
    assert "runAsUser" not in effective  # the image's
    assert effective["seccompProfile"]["type"] in {"RuntimeDefault", "Localhost"}
    assert effective["allowPrivilegeEscalation"] is False
    assert effective["capabilities"] == {"drop": ["ALL"]}
    assert not {"privileged", "procMount", "seLinuxOptions", "sysctls"} & effective.keys()
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
    assert not any("hostPort" in port for port in container["ports"])


# --- the numbers


def test_a_stop_is_over_before_the_kubelet_ends_it(manifests: Manifests, settings: config.Config) -> None:
    limits, ready = settings.limits, manifests.container["readinessProbe"]
    assert settings.workers == 1  # or it takes PATIENCE besides
    written = GRACE + FLUSH + keeper._FLUSH
    assert manifests.pod["terminationGracePeriodSeconds"] >= limits.drain_delay + limits.drain + written + 5
    assert limits.drain > settings.upstream.timeout
    assert limits.drain_delay >= ready["periodSeconds"] * ready["failureThreshold"]


def test_a_node_can_be_drained_and_a_rollout_takes_no_pod_away_first(fleet: Manifests) -> None:
    scaler = fleet.spec("HorizontalPodAutoscaler")
    assert 0 < fleet.spec("PodDisruptionBudget")["maxUnavailable"] < scaler["minReplicas"] < scaler["maxReplicas"]
    update = fleet.spec("Deployment")["strategy"]["rollingUpdate"]
    assert update["maxUnavailable"] == 0
    assert update["maxSurge"] not in {0, "0%"}


def test_pods_are_added_before_a_process_has_all_of_its_core(fleet: Manifests, tmp_path: Path) -> None:
    [metric] = fleet.spec("HorizontalPodAutoscaler")["metrics"]
    target = metric["resource"]["target"]
    assert target["type"] == "AverageValue"
    assert quantity(fleet.container["resources"]["requests"]["cpu"]) <= quantity(target["averageValue"])
    assert quantity(target["averageValue"]) < fleet.settings(tmp_path).workers


def test_a_call_may_come_to_any_pod(manifests: Manifests) -> None:
    for service in manifests.of("Service"):
        assert "sessionAffinity" not in service["spec"]


def test_memory_has_room_for_the_calls_under_way(manifests: Manifests, settings: config.Config) -> None:
    volume, where = manifests.volume("journal")
    assert where == "/dev/shm"  # noqa: S108
    assert volume["emptyDir"]["medium"] == "Memory"
    # What a container was killed with, and what the next one begins with.
    room = quantity(volume["emptyDir"]["sizeLimit"])
    assert room >= 2 * KINDS * settings.limits.in_flight * SLOT
    measured = re.search(r"^\| trigger-shim \| 1000 \|.* (\d+) \|$", BENCHMARKS.read_text(), re.MULTILINE)
    assert measured is not None
    taken = quantity(f"{measured[1]}Mi") + room
    assert taken < quantity(manifests.container["resources"]["requests"]["memory"])


def allowed(manifests: Manifests, direction: str, peers: str) -> dict[str, Any]:
    """Who may be spoken with, by port: what one policy allows is allowed."""
    assert direction.capitalize() in manifests.spec("NetworkPolicy", "trigger-shim")["policyTypes"]
    rules = [rule for each in manifests.of("NetworkPolicy") for rule in each["spec"].get(direction, [])]
    return {f"{port['port']}/{port['protocol']}": rule.get(peers) for rule in rules for port in rule["ports"]}


def test_callers_reach_the_port_for_callers_and_only_monitoring_the_other(manifests: Manifests) -> None:
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert allowed(manifests, "ingress", "from") == {"http/TCP": None, "admin/TCP": [monitoring]}
    assert manifests.ports.keys() == {"http", "admin"}
    [exposed] = manifests.spec("Service", "trigger-shim")["ports"]
    assert exposed["targetPort"] == "http"


def test_a_pod_reaches_the_service_names_and_its_ledger_and_nothing_else_inside(
    manifests: Manifests, settings: config.Config
) -> None:
    found = allowed(manifests, "egress", "to")
    assert settings.upstream.url.startswith("https://")
    ledger = {"5432/TCP"} if manifests.overlay == "fleet" else set()
    assert found.keys() == {"53/UDP", "53/TCP", "5353/UDP", "5353/TCP", "443/TCP"} | ledger
    [openshift] = found["5353/UDP"]
    assert openshift["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "openshift-dns"}
    outside = {peer["ipBlock"]["cidr"]: set(peer["ipBlock"]["except"]) for peer in found["443/TCP"]}
    assert outside["0.0.0.0/0"] >= {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}
    assert outside["::/0"] >= {"fc00::/7", "fe80::/10"}


# --- the README


def made(beginning: str, folder: Path) -> dict[str, Any]:
    """The Secret that a command of the README makes."""
    [command] = commands(f"kubectl create secret generic {beginning}")
    arguments = shlex.split(command.replace("$(openssl rand -hex 32)", SECRET))
    (folder / "ledger.txt").write_text(ADDRESS)
    command_line = [program("kubectl"), *arguments[1:], "--dry-run=client", "--output=yaml"]
    secret: dict[str, Any] = yaml.safe_load(subprocess.check_output(command_line, cwd=folder))
    return secret


def test_the_key_that_the_readme_makes_is_the_one_that_the_pods_want(manifests: Manifests, tmp_path: Path) -> None:
    secret = made("trigger-shim ", tmp_path)
    [variable] = [each for each in manifests.container["env"] if "valueFrom" in each]
    wanted = variable["valueFrom"]["secretKeyRef"]
    assert secret["metadata"]["name"] == wanted["name"]
    assert "optional" not in wanted
    value = b64decode(secret["data"][wanted["key"]]).decode()
    assert config.load(None, {variable["name"]: value}).callers.fingerprint_key == SECRET


def test_the_address_that_the_readme_makes_a_secret_of_is_that_of_the_ledger(tmp_path: Path) -> None:
    [content] = made("trigger-shim-ledger ", tmp_path)["data"].values()
    (tmp_path / "ledger").write_bytes(b64decode(content))
    settings = config.load(None, {"TRIGGER_SHIM__LEDGER_FILE": str(tmp_path / "ledger")})
    assert settings.ledger == ADDRESS.strip()


def test_an_overlay_like_that_of_the_readme_changes_what_it_says(manifests: Manifests, tmp_path: Path) -> None:
    [written] = [block for block in blocks("yaml") if "resources" in block]
    shutil.copytree(FOLDER, tmp_path / "trigger-shim" / "deploy" / "kubernetes")
    (overlay := tmp_path / "overlay").mkdir()
    (overlay / "kustomization.yaml").write_text(written.replace("kubernetes/fleet", f"kubernetes/{manifests.overlay}"))
    (overlay / "config.yaml").write_text(manifests.config + "workers: 2\n")
    changed = Manifests(overlay)
    assert "workers: 2" in changed.config
    assert changed.container["image"] == f"registry.example/trigger-shim:{__version__}"
    assert {each["metadata"]["namespace"] for each in changed.all} == {"trigger-shim"}


def test_every_command_of_the_proxy_and_key_that_the_readme_names_exists(capsys: pytest.CaptureFixture[str]) -> None:
    calls = re.findall(r"(?:`|-- |\| |^)trigger-shim ([a-z]+)((?: +--[a-z-]+)*)", README, re.MULTILINE)
    assert {command for command, _ in calls} >= {"check", "callers", "caller"}
    for command, options in calls:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        text = capsys.readouterr().out
        assert [option for option in options.split() if option not in text] == []
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    named = set(re.findall(r"`((?:limits|lifecycle|callers|upstream)\.\w+)", README))
    assert "limits.drain_delay" in named
    assert named <= {f"{section}.{key}" for section, keys in values.items() if isinstance(keys, dict) for key in keys}
