"""A client of the stand-in."""

import http.client
import json
from typing import Any

Reply = tuple[int, Any]


class Client:
    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = "t",
        kind: str = "json",
        headers: dict[str, str] | None = None,
    ) -> Reply:
        connection = http.client.HTTPConnection(*self._address, timeout=20)
        headers = {"Content-Type": f"application/{kind}", **(headers or {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        is_json = response.headers["content-type"] == "application/json"
        return response.status, json.loads(content) if is_json else content


RUNS = "/repos/acme/shop/cicd/runs"

BUILD = {"workflows": [{"name": "build", "values": [{"name": "a", "value": "b"}]}], "head": {"branch": "main"}}
