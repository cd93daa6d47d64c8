"""A real Prometheus that scrapes a running proxy."""

import contextlib
import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from tests.support.processes import running
from tests.support.programs import program
from tests.support.proxy import Proxy
from tests.support.sockets import free_port
from tests.support.waiting import until

JOB = "shim"


class Prometheus:
    """A Prometheus that scrapes one target every second."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._began = time.time()

    def query(self, expression: str) -> dict[str, float]:
        """The values of an instant query, by their labels' values."""
        found = self._get(f"query?query={quote(expression)}")["result"]
        return {
            "/".join(value for name, value in sorted(row["metric"].items()) if name not in {"job", "instance"}): float(
                row["value"][1]
            )
            for row in found
        }

    def history(self, expression: str, step: float) -> dict[str, list[float]]:
        """The values of each series since the start, or of one step if that is longer."""
        end = time.time()
        asked = {"query": expression, "start": min(self._began, end - step), "end": end, "step": step}
        found = self._get(f"query_range?{urlencode(asked)}")["result"]
        return {
            json.dumps(row["metric"], sort_keys=True): [float(value) for _, value in row["values"]] for row in found
        }

    def label_values(self, label: str, *selectors: str) -> set[str]:
        return set(self._get(f"label/{label}/values?{urlencode([('match[]', one) for one in selectors])}"))

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def firing(self) -> set[str]:
        """The names of the firing alerts."""
        return {alert["labels"]["alertname"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"}

    def target(self) -> dict[str, Any]:
        [target] = self._get("targets")["activeTargets"]
        return dict(target)

    def _get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", f"/api/v1/{path}")
            answer = json.loads(connection.getresponse().read())
        assert answer["status"] == "success", answer
        return answer["data"]


@contextlib.contextmanager
def scraping(admin: Proxy, folder: Path, *rule_files: Path) -> Iterator[Prometheus]:
    settings = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(file) for file in rule_files],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": [f"127.0.0.1:{admin.port}"]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--log.level=error",
    ]
    with running(subprocess.Popen(command)):
        prometheus = Prometheus(port)
        until(lambda: _answers(prometheus))
        yield prometheus


def _answers(prometheus: Prometheus) -> bool:
    with contextlib.suppress(OSError, AssertionError, ValueError):
        if prometheus.query("up") == {"up": 1}:
            return True
    time.sleep(0.1)  # it begins to scrape after five seconds, and each question takes the processor from it
    return False
