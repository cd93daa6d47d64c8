import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli import main
from tests.deploy.tools import DEPLOY
from tests.deploy.troubled import FOLDER, RULES, groups, impatient, sections, troubled
from tests.support.paths import ROOT
from tests.support.programs import program
from tests.support.prometheus import Prometheus, scraping
from tests.support.serving import Serving, serving
from tests.support.waiting import until

README = (FOLDER / "README.md").read_text(encoding="utf-8")
ALERTS = {rule["alert"]: rule for group in groups() for rule in group["rules"] if "alert" in rule}
RECORDED = {rule["record"] for group in groups() for rule in group["rules"] if "record" in rule}
REPOSITORY = "https://git.example/trigger-shim/blob/main"
UNIT_TESTS = sorted(FOLDER.glob("*.test.yaml"))

MET = {
    "TriggerShimUpstreamFailing",
    "TriggerShimOverloaded",
    "TriggerShimRecordsNotWritten",
    "TriggerShimReloadRefused",
    "TriggerShimMigratedCallerCalls",
    "TriggerShimSunsetNear",
}
"""What fires of the troubles that a proxy can be brought into within seconds."""


@pytest.fixture(scope="module")
def after_troubles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Prometheus]]:
    with troubled(tmp_path_factory.mktemp("troubled")) as found:
        yield found


def promtool(*arguments: str) -> str:
    ran = subprocess.run([program("promtool"), *arguments], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


# --- by promtool


def test_the_rules_are_rules() -> None:
    assert f"{len(ALERTS) + len(RECORDED)} rules found" in promtool("check", "rules", str(RULES))


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.name)
def test_each_alert_fires_when_it_must_and_not_when_it_must_not(file: Path) -> None:
    promtool("test", "rules", str(file))


def test_of_each_alert_both_is_tested() -> None:
    cases = [case for file in UNIT_TESTS for test in yaml.safe_load(file.read_text())["tests"] for case in told(test)]
    assert {name for name, alerts in cases if alerts} == set(ALERTS)
    assert {name for name, alerts in cases if not alerts} == set(ALERTS)


def told(test: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(case["alertname"], case.get("exp_alerts")) for case in test.get("alert_rule_test", [])]


def test_the_settings_that_the_readme_shows_are_settings(tmp_path: Path) -> None:
    shown = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    [file] = yaml.safe_load(shown[1])["rule_files"]
    (tmp_path / "prometheus.yml").write_text(shown[1].replace(file, str(RULES)))
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))


# --- by a real proxy and a real Prometheus


def test_troubles_of_a_real_proxy_make_their_alerts_fire_and_no_others(
    after_troubles: tuple[Serving, Prometheus],
) -> None:
    _, prometheus = after_troubles
    until(lambda: prometheus.firing() >= MET)
    assert prometheus.firing() == MET
    assert {(rule["name"], rule["health"]) for rule in prometheus.rules()} == {
        (name, "ok") for name in {*ALERTS, *RECORDED}
    }


def test_a_proxy_that_ends_makes_its_alert_fire(tmp_path: Path) -> None:
    with (
        serving("http://127.0.0.1:9", tmp_path, **sections(tmp_path)) as running,
        scraping(running.admin, tmp_path, impatient(tmp_path)) as prometheus,
    ):
        until(lambda: prometheus.query("trigger_shim_build_info") and not prometheus.firing())
        running.process.kill()
        until(lambda: "TriggerShimDown" in prometheus.firing())


def test_the_operator_for_kubernetes_leaves_the_labels_as_they_are() -> None:
    monitor = yaml.safe_load((DEPLOY / "kubernetes" / "podmonitor.yaml").read_text())
    assert [endpoint["honorLabels"] for endpoint in monitor["spec"]["podMetricsEndpoints"]] == [True]


SELECTOR = re.compile(r"(?<![\w:])(\w+:[\w:]+|(?:trigger_shim|process)_\w+|up)(?![\w:])(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')


def selectors() -> set[tuple[str, str, str]]:
    """Each metric that a rule names, with a label that it is held against and a value; both may be empty."""
    found = set()
    for group in groups():
        for rule in group["rules"]:
            for metric, matchers in SELECTOR.findall(rule["expr"]):
                found.add((metric, "", ""))
                for label, values in MATCHER.findall(matchers):
                    found |= {(metric, label, value) for value in values.split("|")}
    return found


@pytest.mark.parametrize(("metric", "label", "value"), sorted(selectors()))
def test_no_rule_names_what_the_proxy_does_not_show(
    after_troubles: tuple[Serving, Prometheus], metric: str, label: str, value: str
) -> None:
    _, prometheus = after_troubles
    selector = f'{metric}{{{label}="{value}"}}' if label else metric
    assert prometheus.query(f"count({selector})"), selector


def test_the_labels_that_rules_go_by_are_those_of_the_proxy(after_troubles: tuple[Serving, Prometheus]) -> None:
    _, prometheus = after_troubles
    named = set()
    for group in groups():
        for rule in group["rules"]:
            for labels in re.findall(r"\b(?:by|on) \(([\w, ]+)\)", rule["expr"]):
                named |= set(labels.split(", "))
    assert named == {"job", "instance", "caller", "le"}
    for label in named:
        assert prometheus.label_values(label, '{__name__=~"trigger_shim_.*"}'), label


# --- the words


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_how_bad_it_is_to_whom_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    severity, audience = alert["labels"]["severity"], alert["labels"]["audience"]
    assert severity in {"critical", "warning", "info"}
    assert audience in {"operator", "migration"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    address, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert address == f"{REPOSITORY}/deploy/monitoring/README.md"
    assert anchor in {heading.lower() for heading in re.findall(r"^### (\w+)$", README, re.MULTILINE)}
    assert anchor == name.lower()
    assert re.search(rf"^\| \[`{name}`\]\(#{name.lower()}\) \| {severity} \| {audience} \| ", README, re.MULTILINE)


def test_the_readmes_command_gives_every_alert_the_address_of_ones_own_copy(tmp_path: Path) -> None:
    [command] = re.findall(r"^sed .*", README, re.MULTILINE)
    shutil.copy(RULES, tmp_path)
    subprocess.run(shlex.split(command), check=True, cwd=tmp_path)
    changed = (tmp_path / RULES.name).read_text()
    assert "git.example" not in changed
    assert changed.count("runbook_url: https://git.company.example/ci/trigger-shim/") == len(ALERTS)


def test_the_readme_tells_of_no_alert_that_there_is_not() -> None:
    assert set(re.findall(r"TriggerShim\w+", README)) == set(ALERTS)


def test_the_commands_keys_and_panels_that_the_readme_names_exist(capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"`trigger-shim ([a-z]+)([^`]*)`", README)
    assert {command for command, _ in commands} == {"check", "callers", "caller", "letters"}
    for command, arguments in commands:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = re.split(r"[\s{},]+", capsys.readouterr().out)
        assert set(arguments.split()) - {"NAME"} <= set(shown)

    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    keys = {f"{section}.{key}" for section, content in values.items() if isinstance(content, dict) for key in content}
    assert set(re.findall(r"`((?:callers|limits|upstream)\.\w+)`", README)) <= keys

    panels = {panel["title"] for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]}
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*", README))
    assert named
    assert named <= panels
