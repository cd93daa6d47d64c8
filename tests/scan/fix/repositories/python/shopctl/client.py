"""Starts runs of the shop."""

import json
import os

import requests

API = os.environ.get("SOURCECRAFT_API", "https://api.sourcecraft.tech")
HEADERS = {"Authorization": f"Bearer {os.environ['TOKEN']}"}


class Client:
    """A client of the service."""

    def __init__(self) -> None:
        self.session = requests.Session()

    def start(self, workflow: str, branch: str, **inputs: str) -> str:
        """Start a run, and return its number."""
        values = [{"name": name, "value": value} for name, value in inputs.items()]
        response = self.session.post(
            f"{API}/acme/shop/ci_workflows/{workflow}/trigger",
            json={"revision": branch, "input": {"values": values}},
            headers=HEADERS,
            timeout=10,
        )
        response.raise_for_status()
        return response.json()["flux_public_id"]

    def nightly(self) -> None:
        """Start the nightly run; żółw."""
        requests.post(API + "/acme/shop/ci_workflows/nightly/trigger", data=json.dumps({"workflow_revision": "main"}),
                      headers={"Authorization": "Bearer " + os.environ["TOKEN"]}, timeout=10).raise_for_status()

    def status(self, run: str) -> str:
        """The status of a run."""
        answer = requests.get(f"{API}/acme/shop/cicd/runs/{run}", headers=HEADERS, timeout=10)
        return answer.json()["status"]


if __name__ == "__main__":
    client = Client()
    client.nightly()
    print(client.status(client.start("build", "feature/x", who="it's \"me\"")))
