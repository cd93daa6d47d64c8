"""The responses to calls that failed."""

import json
from pathlib import Path

import httpx
import pytest

from proxy import config
from proxy.gateway.app import App
from proxy.gateway.server import listeners, server
from tests.support.proxy import Proxy


def test_the_error_body_is_json_of_strings(proxy: Proxy) -> None:
    error = json.loads(proxy.call(body=b"[]").body)
    assert all(isinstance(value, str) for value in error["details"].values())


def test_a_fault_of_the_proxy_itself_is_told_to_both_sides(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise RuntimeError("about Bearer SECRET")

    public = listeners.loopback()
    log = tmp_path / "callers.jsonl"
    app = App(
        config.load(None, {}, {"callers": {"log": str(log)}, "ledger": None}), transport=httpx.MockTransport(fail)
    )
    with server.background(app, public):
        host, port = public.getsockname()
        proxy = Proxy(host, port, log)
        answer = proxy.call()
    assert (answer.status, answer.json()["error_code"]) == (500, "ProxyInternalError")
    assert answer.json()["details"] == {"run_started": "unknown"}
    assert [record["outcome"] for record in proxy.records()] == ["interrupted"]
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith('trigger-shim: error: internal error during="a call" exception=RuntimeError place=')
    assert line.endswith(f" request_id={answer.json()['request_id']}")
    assert "SECRET" not in line
