import itertools
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.deploy.troubled import FOLDER, troubled
from tests.support.prometheus import JOB, Prometheus
from tests.support.waiting import until

TEXT = (FOLDER / "dashboard.json").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads(TEXT)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel, target) for panel in PANELS for target in panel["targets"]]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

SECONDS = {"1m": 60.0, "1h": 3600.0}
SCRAPES = 1.0
"""Seconds between two scrapes."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with troubled(tmp_path_factory.mktemp("troubled")) as (_, found):
        yield found


def filled_in(expression: str, step: float) -> str:
    """An expression as Grafana sends it, where everything is chosen in each list."""
    values = {name: variable["allValue"] for name, variable in VARIABLES.items() if "allValue" in variable}
    values["__rate_interval"] = f"{max(step + SCRAPES, 4 * SCRAPES):g}s"
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], expression)


def is_number(value: float) -> bool:
    return not math.isnan(value)


@pytest.mark.parametrize(
    ("panel", "target"), QUERIES, ids=[f"{panel['title']} {target['refId']}" for panel, target in QUERIES]
)
def test_every_query_of_every_panel_returns_data(
    prometheus: Prometheus, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    step = SECONDS[target["interval"]] if "interval" in target else SCRAPES
    expression = filled_in(target["expr"], step)
    if target["instant"]:
        # On a busy machine, the last scrape may have failed.
        until(lambda: any(map(is_number, prometheus.query(expression).values())))
    else:
        found = prometheus.history(expression, step)
        assert any(map(is_number, itertools.chain(*found.values()))), expression
    assert panel["datasource"] == target["datasource"] == SOURCE


@pytest.mark.parametrize(("panel", "target"), QUERIES, ids=[target["expr"][:60] for _, target in QUERIES])
def test_every_query_heeds_what_is_chosen(
    prometheus: Prometheus, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    nobody = target["expr"].replace("$job", "nobody")
    assert nobody != target["expr"]
    step = SECONDS["1h"]
    assert prometheus.history(filled_in(nobody, step), step) == {}, panel["title"]


@pytest.mark.parametrize(("panel", "target"), QUERIES, ids=[f"{panel['id']}" for panel, _ in QUERIES])
def test_every_label_of_a_legend_is_one_that_the_query_leaves(
    prometheus: Prometheus, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    step = SECONDS["1h"] if panel["type"] != "timeseries" or "interval" in target else SCRAPES
    for series in prometheus.history(filled_in(target["expr"], step), step):
        assert labels <= set(json.loads(series))
        assert labels or json.loads(series) == {}, "several series would have one name"


def test_each_list_to_choose_from_has_what_there_is(prometheus: Prometheus) -> None:
    found = {}
    for name, variable in VARIABLES.items():
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert asked is not None
            assert variable["datasource"] == SOURCE
            found[name] = prometheus.label_values(asked[2], filled_in(asked[1], SCRAPES))
    assert found["job"] == {JOB}
    assert found["caller"] == {"nightly", "moved", "month-end", "dark", "other"}
    assert found["instance"] == prometheus.label_values("instance", "up")


def test_its_data_source_is_chosen_where_it_is_used() -> None:
    assert VARIABLES["datasource"]["type"] == "datasource"
    assert VARIABLES["datasource"]["query"] == "prometheus"
    assert "__inputs" not in DASHBOARD
    assert "id" not in DASHBOARD


# --- its form


def test_grafana_knows_every_field_of_it() -> None:
    register_default_plugins()
    known = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert list(differences(DASHBOARD, known)) == []


def differences(ours: Any, known: Any, where: str = "") -> Iterator[str]:
    """Where what we have is not what Grafana's own model has made of it; what it adds is its defaults."""
    if isinstance(ours, dict) and isinstance(known, dict):
        for key, value in ours.items():
            yield from differences(value, known[key], f"{where}.{key}") if key in known else [f"{where}.{key}"]
    elif isinstance(ours, list) and isinstance(known, list) and len(ours) == len(known):
        for index, (one, other) in enumerate(zip(ours, known, strict=True)):
            yield from differences(one, other, f"{where}[{index}]")
    elif ours != known:
        yield where


def test_it_is_laid_out_without_gaps_and_overlaps() -> None:
    taken = [place for panel in DASHBOARD["panels"] for place in places(panel["gridPos"])]
    assert len(taken) == len(set(taken))
    assert set(taken) == set(itertools.product(range(24), range(1 + max(y for _, y in taken))))


def places(position: dict[str, int]) -> Iterator[tuple[int, int]]:
    columns = range(position["x"], position["x"] + position["w"])
    return itertools.product(columns, range(position["y"], position["y"] + position["h"]))


def test_each_panel_is_whole() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert ids == list(range(1, len(ids) + 1))
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["targets"], panel["title"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_a_change_of_it_can_be_read() -> None:
    assert json.dumps(DASHBOARD, indent=2, ensure_ascii=False) + "\n" == TEXT
