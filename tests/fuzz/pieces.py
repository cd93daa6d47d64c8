"""Pieces of what each parser reads, and valid inputs for it."""

from datetime import UTC, datetime

import msgspec

from tests.callers.lines import beats, call, log

HEADS = [
    b"GET ", b"POST ", b"OPTIONS * ", b"CONNECT a:1 ", b"/a%2Fb?c", b"http://h/", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n",
    b"Host: h\r\n", b"Content-Length: 3\r\n", b"Content-Length: +3\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Connection: Upgrade\r\n", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n",
    b"Connection: close\r\n", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"ffffffffffffffff1\r\n", b";x=y",
    b"X: ", b"\x00", b"\xff", b"\t",
]  # fmt: skip

REQUESTS = [
    b"GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n" * 3,
    b"POST /acme/shop/ci_workflows/build/trigger HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab",
]

ANNOUNCEMENTS = [
    b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"198.51.100.7 ", b"2001:db8::7 ", b"::ffff:192.0.2.1 ", b"1 ", b"65536", b"\r\n",
    b"\n", b" ", b"\r\n\r\n\0\r\nQUIT\n", b"\x20", b"\x21", b"\x11", b"\x31", b"\0", b"\0\x0c", b"\xff\xff", b"GET / HTTP/1.1\r\n",
]  # fmt: skip

ANNOUNCED = [
    b"PROXY TCP4 198.51.100.7 192.0.2.1 51234 443\r\nGET / HTTP/1.1\r\n",
    b"PROXY TCP6 2001:db8::7 ::1 51234 443\r\n",
    b"PROXY UNKNOWN ffff:f::1 ::1 1 2\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\xc8\x22\x01\xbbGET / HTTP/1.1\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + bytes(36),
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
]

STATUS = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 X\r\n", b"HTTP/1.1 204\r\n", b"HTTP/1.0 999 \r\n", b"ICY 200 OK\r\n", b"HTTP/2 200\r\n",
    b"Keep-Alive: timeout=", b"9" * 30, b"Connection: upgrade\r\n", *HEADS[8:],
]  # fmt: skip

RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 X\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=9\r\n\r\nuntil the end",
]

JSON = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"true", b"1e999", b"-0", b"1" * 20, b"NaN", b'"revision"', b'"input"',
    b'"values"', b'"name"', b'"value"', b'"workflow_revision"', b'"workflowRevision"', b'"workflows"', b'"head"', b'"id"',
    b'"slug"', b'"status"', b'"user"', b'"error_code"', b'"message"', b'"details"', b'"request_id"', b'"tags:v1"', b"\\ud800",
    b"\\u0000", b"\\", b"\xef\xbb\xbf", b"\xff", b" ", b"\n",
]  # fmt: skip

BODIES = [
    b'{"revision":"tags:v1","input":{"values":[{"name":"env","value":"x"}]},"workflow_revision":"main","more":[{}]}',
    b'{"workflows":[{"name":"build","values":[{"name":"env","value":"x"}]}],"head":{"branch":"main"}}',
    b'{"id":"1","slug":"7","status":"success","user":{"id":"u-1","slug":"alice"},"workflows":[],"error_messages":[]}',
    b'{"error_code":"NotFound","message":"no","request_id":"1","details":{}}',
]

PATHS = [
    b"/", b"acme", b"id:", b"repos", b"ci_workflows", b"trigger", b"cicd", b"runs", b"logs", b"%2F", b"%00", b"%", b"%25", b"..",
    b"%2e", b";", b"\\", b"?", b"#", b"\xff", b"\xc3\xbc", b"%C3%BC", b"{org}", b"{",
]  # fmt: skip

CALLED = [
    b"/acme/shop/ci_workflows/build/trigger",
    b"/repos/id:42/ci_workflows/b/trigger",
    b"/acme/shop/cicd/logs/1/2/3/4",
]

SHELL = [
    b"curl ", b"-X ", b"--request=", b"-H ", b"'Authorization: Bearer t' ", b"-d ", b"--data-binary ", b"@file ", b"$HOME", b"${A:-b}",
    b"$(x)", b"`x`", b"'", b'"', b"\\", b"\\\n", b"$'\\x", b"\n", b"; ", b"| ", b"&& ", b"#", b"--json ", b"-sSfX", b"--", b"-",
    b"https://api.sourcecraft.tech/acme/shop/ci_workflows/build/trigger ", b"%24", b"\xf3\xa0", b"{", b"*", b"~", b"!",
    b"wget ", b"http ", b"--post-data=", b"<<EOF\n", b"\nEOF\n", b"<<< ", b"@- ", b"A=", b"$A ", b"$(cat ", b"echo ", b")", b" ^\n", b"%A%", b"\xee\x80\x80",
    b"requests.post(", b"json=", b"f'{a}'", b"fetch(", b", { method: 'POST', body: JSON.stringify(", b"`${a}`", b"irm -Uri ", b"-Body ",
    b"@{ a = 1 }", b"- ", b"a: |\n  ", b"%(", b"**a",
]  # fmt: skip

COMMANDS = [
    b"curl -X POST -H 'Authorization: Bearer $T' -d '{\"revision\": \"main\"}' https://h/acme/shop/ci_workflows/b/trigger",
    b"$ curl \"https://h/$ORG/shop/ci_workflows/$W/trigger\" \\\n  --json '{}' # comment",
    b'B=\'{"revision": "main"}\'\nR=$(sudo -E curl -d "$B" "$H/acme/shop/ci_workflows/b/trigger" | jq -r .flux_id)',
    b'cat <<EOF | wget --post-file=- https://h/acme/shop/ci_workflows/b/trigger\n{"revision": "$B"}\nEOF',
    b"http POST h/acme/shop/ci_workflows/b/trigger A:b revision=main input:='{\"values\": []}'",
    b"requests.post(f'{H}/acme/shop/ci_workflows/b/trigger', json={'revision': r, 'input': {'values': v}}, timeout=3)",
    b"fetch(`${H}/acme/shop/ci_workflows/b/trigger`, { method: 'POST', body: JSON.stringify({ revision, input: {} }) })",
    b"Invoke-RestMethod -Method Post -Uri \"$H/acme/shop/ci_workflows/b/trigger\" -Body (@{ revision = 'a' } | ConvertTo-Json)",
    b'curl h/acme/shop/cicd/runs -d \'{"workflows": [{"name": "build"}], "head": {"branch": "main"}}\'',
    b"job:\n  script:\n    - |\n      curl -d '{}' $H/acme/shop/ci_workflows/b/trigger\n",
]

LINES = [
    b"\n", b'{"event":"deprecated_call",', b'"event":"heartbeat",', b'"ts":"2026-11-01T00:00:00Z",', b'"ts":"9999-12-31T23:59:59Z",',
    b'"interval":1e308,', b'"status":200,', b'"caller":"', b'"client_ip":"::1%x"', b'"token":"0123456789ab"', b'"path":"/',
    b"\\u202e", b"\\u001b", b"@team", b"=1+1", b"<b>", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh9", b"\xff\xfe", b"\x00",
    b'{"log":"', b'{"line":"', b'{"MESSAGE":[123,34,', b'\\"event\\":\\"deprecated_call\\"', b" stdout P ", b" stdout F ", *JSON[:14],
]  # fmt: skip

_CALL = call(datetime(2026, 11, 20, tzinfo=UTC), "nightly")
HALF = msgspec.json.encode(_CALL)[:100]
LOGS = [
    log(*beats(datetime(2026, 11, 19, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)), _CALL),
    msgspec.json.encode(_CALL) * 2,
    msgspec.json.encode({"log": log(_CALL).decode(), "stream": "stdout"}),
    b'2026-11-20T00:00:00Z stdout P {"event":\n2026-11-20T00:00:00Z stdout F ' + log(_CALL)[9:],
    log(
        call(
            datetime(2026, 11, 20, tzinfo=UTC), "a\x1b]0;pwn\x07\x9b2J\u202e=1+1", caller_source="header", owner="\x9b"
        )
    ),
]

SOURCES = [
    *SHELL,
    *PATHS,
    b'f"',
    b"${{ ",
    b" }}",
    b"+ '/' +",
    b"urljoin(",
    b"[",
    b"]",
    b", ",
    b".post(",
    b"fmt.Sprintf(",
    b"%s",
    b"run_ci_workflow",
    b"W=",
    b"$W",
    b"api.sourcecraft.tech",
    b"runWorkflow",
    b"workflowName repo",
    b"CIApi",
    b"listRunsDeprecated",
    b".trigger_status",
    b"flux_public_id",
    b"# trigger-shim: ignore so it is\n",
    b" \\\n",
    b"curl -X DELETE ",
]

FILES = [
    b'requests.post(f"{base}/{org}/{repo}/ci_workflows/{name}/trigger", json={})\n',
    b'url = "/".join([base, org, repo, "ci_workflows", name, "trigger"])\n',
    b"W=https://api.sourcecraft.tech/acme/shop\nC=$W/ci_workflows\ncurl $C/b/trigger; curl $W/cicd/runs -d x\n",
    COMMANDS[0],
]

YAML = [
    b"listen: ", b"admin: ", b"admin_hosts: ", b"upstream:\n  url: ", b"limits: {", b"callers:\n  known:\n  - ", b"lifecycle: {", b"cron: ",
    b"'* * * * *'", b"duration: ", b"time_zone: ", b"sunset: ", b"2026-02-30", b"9999-12-31T23:59:59+23:59", b"1e400", b"0x", b"!!int x",
    b"!!python/name:os.system", b"&a ", b"*a", b"<<: ", b"- ", b"\n", b"  ", b": ", b"{", b"}", b"[", b"]", b"'", b'"', b"|\n", b"? ",
    b"---\n", b"...\n", b"\xff", b"name: x", b"token: ", b"network: ", b"fingerprint_key: ", b"hunter2-hunter2-hunter2", b"\t", b"~",
]  # fmt: skip

CONFIGS = [
    b"listen: 127.0.0.1:8080\nupstream: {url: https://h}\nlifecycle: {sunset: 2027-01-01, brownouts: [{cron: '0 12 * * MON', duration: 60}]}\n",
    b"callers:\n  fingerprint_key: hunter2-hunter2-hunter2\n  known: [{name: a, network: 10.0.0.0/8, token: 0123456789ab}]\n",
]
