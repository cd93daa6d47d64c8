import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli import main
from tests.deploy.tools import DEPLOY
from tests.deploy.troubled import FOLDER, RULES, groups, troubled
from tests.support.paths import ROOT
from tests.support.programs import program
from tests.support.prometheus import Prometheus
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

DOWN = "TriggerShimDown"


@dataclass
class Seen:
    """What a Prometheus has seen of a proxy.

    Attributes:
        firing: the alerts that fired after the proxy's troubles.
        rules: each with its health.
        selected: whether there is something for a selector that the rules have.
        labels: the values of each label that the rules go by.
        down: the alerts that fired after its end.
    """

    firing: set[str]
    rules: set[tuple[str, str]]
    selected: dict[str, bool]
    labels: dict[str, set[str]]
    down: set[str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    with troubled(tmp_path_factory.mktemp("troubled")) as (running, prometheus):
        firing = fired(prometheus)
        rules = {(rule["name"], rule["health"]) for rule in prometheus.rules()}
        # Over a time, since on a busy machine the last scrape may have failed.
        selected = {one: bool(prometheus.query(f"count(last_over_time({one}[10m]))")) for one in selectors()}
        labels = {label: prometheus.label_values(label, '{__name__=~"trigger_shim_.*"}') for label in named_labels()}
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
        until(lambda: DOWN in prometheus.firing())
        return Seen(firing, rules, selected, labels, prometheus.firing())


def fired(prometheus: Prometheus) -> set[str]:
    """The alerts that fire after the troubles. On a busy machine scrapes may fail, of which one tells for seconds."""
    firing: set[str] = set()

    def as_expected() -> bool:
        nonlocal firing
        firing = prometheus.firing()
        return firing == MET

    with contextlib.suppress(AssertionError):  # a test says what is wrong
        until(as_expected)
    return firing


def promtool(*arguments: str) -> str:
    environment = {**os.environ, "GOGC": "400"}  # Go would collect garbage for a third of the time
    ran = subprocess.run(
        [program("promtool"), *arguments], check=False, capture_output=True, text=True, env=environment
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


# --- by promtool


def test_the_rules_are_rules() -> None:
    assert f"{len(ALERTS) + len(RECORDED)} rules found" in promtool("check", "rules", str(RULES))


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.name)
def test_each_alert_fires_when_it_must_and_not_when_it_must_not(file: Path, tmp_path: Path) -> None:
    tested = {name for test in yaml.safe_load(file.read_text())["tests"] for name, _ in told(test)}
    # Only the group that is concerned: evaluating the other one takes as long.
    concerned = [group for group in groups() if tested & {rule.get("alert") for rule in group["rules"]}]
    (tmp_path / RULES.name).write_text(yaml.safe_dump({"groups": concerned}))
    promtool("test", "rules", str(shutil.copy(file, tmp_path / file.name)))


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


def test_troubles_of_a_real_proxy_make_their_alerts_fire_and_no_others(seen: Seen) -> None:
    assert seen.firing == MET
    assert seen.rules == {(name, "ok") for name in {*ALERTS, *RECORDED}}


def test_a_proxy_that_ends_makes_its_alert_fire(seen: Seen) -> None:
    assert DOWN in seen.down - seen.firing


def test_the_operator_for_kubernetes_leaves_the_labels_as_they_are() -> None:
    monitor = yaml.safe_load((DEPLOY / "kubernetes" / "podmonitor.yaml").read_text())
    assert [endpoint["honorLabels"] for endpoint in monitor["spec"]["podMetricsEndpoints"]] == [True]


SELECTOR = re.compile(r"(?<![\w:])(\w+:[\w:]+|(?:trigger_shim|process)_\w+|up)(?![\w:])(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')


def selectors() -> set[str]:
    """One for each metric that a rule names, and for each value that a label of it is held against."""
    found = set()
    for group in groups():
        for rule in group["rules"]:
            for metric, matchers in SELECTOR.findall(rule["expr"]):
                found.add(metric)
                for label, values in MATCHER.findall(matchers):
                    found |= {f'{metric}{{{label}="{value}"}}' for value in values.split("|")}
    return found


def test_no_rule_names_what_the_proxy_does_not_show(seen: Seen) -> None:
    assert len(seen.selected) > 30
    assert [selector for selector, found in seen.selected.items() if not found] == []


def named_labels() -> set[str]:
    found = set()
    for group in groups():
        for rule in group["rules"]:
            for labels in re.findall(r"\b(?:by|on) \(([\w, ]+)\)", rule["expr"]):
                found |= set(labels.split(", "))
    return found


def test_the_labels_that_rules_go_by_are_those_of_the_proxy(seen: Seen) -> None:
    assert seen.labels.keys() == {"job", "instance", "caller", "le"}
    assert all(seen.labels.values())


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
