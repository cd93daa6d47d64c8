from typing import Any

import httpx

BASE = "https://api.sourcecraft.tech"
WORKFLOWS = BASE + "/{org}/{repo}/ci_workflows"


class Client:
    def __init__(self, token: str) -> None:
        self.http = httpx.Client(headers={"Authorization": f"Bearer {token}"})

    def trigger(self, org: str, repo: str, name: str) -> dict[str, Any]:
        return self.http.post(f"{BASE}/{org}/{repo}/ci_workflows/{name}/trigger", json={}).json()

    def runs(self, org: str, repo: str) -> dict[str, Any]:
        return self.http.get(
            f"{BASE}/{org}/{repo}/cicd/runs",
            params={"page_size": 20},
        ).json()

    def start(self, org: str, repo: str, body: Any) -> dict[str, Any]:
        return self.http.request(
            "POST",
            f"{BASE}/{org}/{repo}/cicd/runs",
            json=body,
        ).json()
