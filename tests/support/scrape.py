"""The metrics page of an admin listener, parsed."""

from datetime import UTC, datetime
from typing import cast

from prometheus_client.parser import text_string_to_metric_families

from tests.support.proxy import Proxy


class Scrape:
    """The samples of ``/metrics`` at one moment."""

    def __init__(self, admin: Proxy, accept: str = "text/plain") -> None:
        answer = admin.call("/metrics", None, {"Accept": accept}, "GET")
        assert answer.status == 200, answer.body
        self.text = answer.body.decode()
        self.families = list(text_string_to_metric_families(self.text))
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __getitem__(self, name: str) -> float:
        return self.value(name)

    def value(self, name: str, **labels: str) -> float:
        return self.samples["trigger_shim_" + name, frozenset(labels.items())]

    def labels(self, name: str, label: str) -> set[str]:
        """The values of a label."""
        return {dict(labels)[label] for found, labels in self.samples if found == "trigger_shim_" + name}

    def sunsets(self) -> dict[str, str]:
        """The sunset of each caller, as a date if it is at midnight."""
        return {
            dict(labels)["caller"]: datetime.fromtimestamp(value, UTC).isoformat().removesuffix("T00:00:00+00:00")
            for (name, labels), value in self.samples.items()
            if name == "trigger_shim_caller_sunset_timestamp_seconds"
        }

    def calls(self) -> dict[tuple[str, str, str], float]:
        """The number of calls by endpoint, outcome and class of the status, without zeros."""
        found = {
            tuple(dict(labels)[label] for label in ("endpoint", "outcome", "status")): value
            for (name, labels), value in self.samples.items()
            if name == "trigger_shim_calls_total" and value
        }
        return cast("dict[tuple[str, str, str], float]", found)
