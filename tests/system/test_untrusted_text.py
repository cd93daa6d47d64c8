"""What callers say reaches no terminal and no page unescaped: events, the caller log, the admin pages."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.output import diagnostics
from tests.support.proxy import Proxy, watched
from tests.support.upstream import Upstream
from tests.support.wire import Wire

ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control, C1 and bidirectional characters; a line break is the proxy's own."""

HOSTILE = "a\x1b]0;pwn\x07\x7f\x9b2J\u202e\u2028<b>&"
AGENT = "a\x9b2J\u202e<b>"  # as far as a header may have it


def call(proxy: Proxy, path: str) -> int:
    with Wire(proxy.connect()) as wire:
        wire.send(f"POST {path} HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer t\r\n".encode())
        wire.send(f"User-Agent: {AGENT}\r\nX-Caller: {AGENT}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        return wire.answer().status


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_what_callers_say_is_escaped_wherever_it_is_written(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str], log_format: str
) -> None:
    log = tmp_path / "callers.jsonl"
    name = quote(HOSTILE)
    diagnostics.configure(log_format)
    try:
        with watched(upstream.url, tmp_path, callers={"log": str(log), "header": "X-Caller"}) as (proxy, admin):
            assert call(proxy, f"/acme/shop/ci_workflows/{name}/trigger") == 200
            assert call(proxy, f"/acme/{name}/ci_workflows/{name}/trigger") == 400
            assert call(proxy, f"//acme/shop/ci_workflows/{name}/trigger") == 200
            pages = ["/callers", "/callers.json", "/metrics", "/", f"/{name}"]
            said = [admin.call(page, None, method="GET").body.decode() for page in pages]
    finally:
        diagnostics.configure()
    events, written = capfd.readouterr().err, log.read_text(encoding="utf-8")

    assert "slash" in events
    assert [ACTING.findall(text) for text in (events, written, *said)] == [[]] * 7
    assert "<b>" not in said[0]
    [record] = [json.loads(line) for line in written.splitlines() if '"status":200' in line]
    assert (record["workflow"], record["user_agent"], record["caller"]) == (HOSTILE, AGENT, AGENT)
