"""What people paste, and what must come out.

In each text, the service is at ``$API``, or at the address of the real one. The variables are those of `ENVIRONMENT`.
"""

from typing import NamedTuple

from proxy.calls.reader import Kind

REAL = "https://api.sourcecraft.tech"
TRIGGER = "/acme/shop/ci_workflows/build/trigger"
URL = REAL + TRIGGER
ENVIRONMENT = {
    "TOKEN": "t0k3n",
    "BRANCH": "main",
    "N": "5",
    "WF": "build",
    "ORG": "acme",
    "VERSION": "1.2 $x",
    "QUOTED": '"5"',
    "PROJECT": "acme/shop",
}
"""The variables in the texts, with values for tests that run them."""

MAIN = '{"revision": "main"}'
HEADER = '-H "Authorization: Bearer $TOKEN"'


class Pasted(NamedTuple):
    """A text with one call.

    Attributes:
        name: says what is special.
        text: what is pasted.
        body: the legacy body that the call sends, with the source of each variable; None if it is not translated.
        told: what must be said, apart from what is printed.
        kind: what it must be taken for.
        runs: whether the text starts a run as it stands, on this machine.
    """

    name: str
    text: str
    body: str | None = MAIN
    told: tuple[str, ...] = ()
    kind: Kind = Kind.SHELL
    runs: bool = True


CURL = [
    Pasted("project-in-a-variable", f"curl \"$API/$PROJECT/ci_workflows/build/trigger\" {HEADER} -d '{MAIN}'"),
    Pasted(
        "half-a-path",
        f"curl \"$REPO_URL/ci_workflows/build/trigger\" -d '{MAIN}'",
        None,
        told=("$REPO_URL/ci_workflows/build/trigger is not all of /org/repo/ci_workflows/workflow/trigger",),
    ),
    Pasted("markdown", f"```sh\n$ curl {URL} {HEADER} -d '{MAIN}'\n```\n", runs=False),
    Pasted("plain", f"curl -X POST {URL} {HEADER} -d '{MAIN}'"),
    Pasted("prompt", f"$ curl {URL} {HEADER} -d '{MAIN}'", runs=False),
    Pasted("continued", f"curl -X POST \\\n  \"$API{TRIGGER}\" \\\n  {HEADER} \\\n  --data-raw '{MAIN}'"),
    Pasted("windows-line-ends", f"curl {URL} \\\r\n  -d '{MAIN}'\r\n", runs=False),
    Pasted(
        "lost-backslash",
        f"curl {URL} \\\n  {HEADER}\n  -d '{MAIN}'",
        told=("a \\ is missing at the end of line 2",),
        runs=False,
    ),
    Pasted(
        "space-after-backslash",
        f"curl {URL} {HEADER} \\ \n  -d '{MAIN}'",
        told=("a \\ at the end of a line is followed by a space",),
        runs=False,
    ),
    Pasted("second-command-and", f"curl {URL} {HEADER} -d '{MAIN}' && echo done", told=("line 1 echo",)),
    Pasted("second-command-semicolon", f"curl {URL} {HEADER} -d '{MAIN}'; echo done", told=("line 1 echo",)),
    Pasted("second-command-line", f"curl {URL} {HEADER} -d '{MAIN}'\necho done\n", told=("line 2 echo",)),
    Pasted("second-command-before", f"cd /tmp && curl {URL} {HEADER} -d '{MAIN}'", told=("line 1 cd",)),
    Pasted(
        "jq-of-a-field-that-is-gone",
        f"curl -s {URL} {HEADER} -d '{MAIN}' | python3 -c 'print(\"flux_public_id\")'",
        told=("flux_public_id: it is slug in the new answer", "not calls: line 1 python3"),
    ),
    Pasted(
        "jq",
        f"curl -s {URL} {HEADER} -d '{MAIN}' | jq -r .trigger_status,.flux_id",
        told=("trigger_status: it is gone", "flux_id: it is id", "line 1 jq"),
        runs=False,
    ),
    Pasted("output", f"curl {URL} {HEADER} -d '{MAIN}' -o /dev/null", told=("kept: -o",)),
    Pasted("write-out", f"curl -fsw '%{{http_code}}' {URL} {HEADER} -d '{MAIN}'", told=("kept: -f -w",)),
    Pasted(
        "retry", f"curl --retry 3 {URL} {HEADER} -d '{MAIN}'", told=("--retry: a second try can start a second run",)
    ),
    Pasted("no-token", f"curl {URL} -d '{MAIN}'", told=("no Authorization header",), runs=False),
    Pasted("bearer", f"curl --oauth2-bearer \"$TOKEN\" {URL} -d '{MAIN}'"),
    Pasted("shebang", f"#!/usr/bin/env bash\nset -euo pipefail\ncurl {URL} {HEADER} -d '{MAIN}'\n"),
    Pasted(
        "sudo", f"sudo -E curl {URL} {HEADER} -d '{MAIN}'", told=("sudo -E: keep it before the new call",), runs=False
    ),
    Pasted("environment", f"LC_ALL=C curl {URL} {HEADER} -d '{MAIN}'", told=("LC_ALL=…: keep it before the new call",)),
    Pasted("timeout", f"timeout 60 curl {URL} {HEADER} -d '{MAIN}'", told=("timeout 60: keep it",)),
    Pasted("full-path", f"/usr/bin/curl {URL} {HEADER} -d '{MAIN}'"),
    Pasted("substitution", f"RUN=$(curl -s {URL} {HEADER} -d '{MAIN}')\necho \"$RUN\"", told=("line 2 echo",)),
    Pasted("quoted-substitution", f"echo \"run: $(curl -s {URL} {HEADER} -d '{MAIN}')\"", told=("line 1 echo",)),
    Pasted("condition", f"if ! curl -sf {URL} {HEADER} -d '{MAIN}'; then\n  exit 1\nfi", told=("line 2 exit",)),
    Pasted("function", f"start() {{\n  curl {URL} {HEADER} -d '{MAIN}'\n}}\nstart", told=("start",)),
    Pasted("comment", f"# start the build\ncurl {URL} {HEADER} -d '{MAIN}'  # on main"),
    Pasted(
        "body-in-a-variable",
        f"BODY='{MAIN}'\ncurl {URL} {HEADER} --data \"$BODY\"",
        told=("$BODY: now part of the new call",),
    ),
    Pasted(
        "body-in-an-unknown-variable",
        f'curl {URL} {HEADER} --data "$BODY"',
        None,
        told=("taken for curl, and not translated: its body is $BODY, which is not set in this text",),
    ),
    Pasted(
        "body-set-twice",
        f"BODY='{{}}'\nBODY='{MAIN}'\ncurl {URL} {HEADER} --data \"$BODY\"",
        None,
        told=("its body is $BODY, which is not set",),
    ),
    Pasted(
        "body-by-cat",
        f'BODY=$(cat <<EOF\n{MAIN}\nEOF\n)\ncurl {URL} {HEADER} -d "$BODY"',
        told=("$BODY, what cat prints: now part of the new call",),
    ),
    Pasted(
        "heredoc",
        f'curl {URL} {HEADER} -d @- <<EOF\n{{"revision": "$BRANCH"}}\nEOF\n',
        '{"revision": "$BRANCH"}',
        told=("the text after <<: now part of the new call",),
    ),
    Pasted(
        "quoted-heredoc",
        f'curl {URL} {HEADER} -d @- <<\'EOF\'\n{{"revision": "$BRANCH"}}\nEOF\n',
        '{"revision": "$BRANCH"}',
        told=("the text after <<: now part",),
    ),
    Pasted("here-string", f"curl {URL} {HEADER} -d @- <<< '{MAIN}'", told=("the text after <<: now part",)),
    Pasted("echo", f"echo '{MAIN}' | curl {URL} {HEADER} -d @-", told=("what echo prints: now part",)),
    Pasted(
        "printf",
        f'printf \'{{"revision": "%s"}}\' "$BRANCH" | curl {URL} {HEADER} --data-binary @-',
        '{"revision": "$BRANCH"}',
        told=("what printf prints: now part",),
    ),
    Pasted(
        "jq-makes-the-body",
        f"jq -n --arg b \"$BRANCH\" '{{revision: $b}}' <<EOF | curl {URL} {HEADER} -d @-\n{{}}\nEOF\n",
        None,
        told=("taken for curl, and not translated: its body is made by jq",),
    ),
    Pasted("file", f"curl {URL} {HEADER} -d @body.json", told=("body.json: its content was read",)),
    Pasted("file-that-is-not-there", f"curl {URL} -d @gone.json", None, told=("its body is in the file gone.json",)),
    Pasted("file-in-a-variable", f'curl {URL} -d "@$FILE"', None, told=("its body is in the file $FILE",)),
    Pasted("standard-input", f"curl {URL} -d @-", None, told=("its body comes from standard input",)),
    Pasted("empty-body", f"curl -X POST {URL} {HEADER}", "{}"),
    Pasted(
        "variable-outside-of-quotes",
        f'curl {URL} {HEADER} -d "{{\\"input\\": {{\\"values\\": [{{\\"name\\": \\"n\\", \\"value\\": \\"$N\\"}}]}}}}"',
        '{"input": {"values": [{"name": "n", "value": "$N"}]}}',
    ),
    Pasted(
        "variable-in-single-quotes",
        f'curl {URL} {HEADER} -d \'{{"revision": "\'"$BRANCH"\'"}}\'',
        '{"revision": "$BRANCH"}',
    ),
    Pasted("base-in-a-variable", f"curl \"$API{TRIGGER}\" {HEADER} -d '{MAIN}'"),
    Pasted(
        "path-in-variables",
        f'BASE=$API/acme/shop/ci_workflows\nURL="$BASE/$WF/trigger"\ncurl "$URL" {HEADER} -d \'{MAIN}\'',
        told=("$URL, $BASE: now part of the new call",),
        runs=False,
    ),
    Pasted(
        "segments-in-variables",
        f"curl \"$API/$ORG/shop/ci_workflows/${{WF}}/trigger\" {HEADER} -d '{MAIN}'",
        runs=False,
    ),
    Pasted(
        "ignored-field",
        f'curl {URL} {HEADER} -d \'{{"revision": "main", "inputs": {{}}}}\'',
        told=("inputs: left out",),
    ),
    Pasted("get", f"curl {URL}", None, told=("the withdrawn trigger is called with POST, not GET",)),
    Pasted("form", f"curl {URL} -F revision=main", None, told=("-F is not supported",)),
    Pasted(
        "password",
        f"curl {URL} -u me:secret -d '{{}}'",
        None,
        told=("--user sends a password".replace("--user", "-u"),),
    ),
    Pasted("two-urls", f"curl {URL} {URL} -d '{{}}'", None, told=("it calls more than one URL",)),
    Pasted("no-url", "curl -d '{}'", None, told=("the command line has no URL",)),
    Pasted(
        "in-a-string",
        f"ssh ci \"curl {URL} -d '{{}}'\"",
        None,
        told=("taken for shell commands, and not translated: it has no call with curl, wget or HTTPie",),
    ),
    Pasted(
        "open-quote", f"curl {URL} -d '{{", None, told=("taken for shell commands, and not read: a ' is never closed",)
    ),
]

OTHER_PROGRAMS = [
    Pasted(
        "wget",
        f"wget -qO- --header=\"Authorization: Bearer $TOKEN\" --post-data='{MAIN}' {URL}",
    ),
    Pasted(
        "wget-method",
        f"wget -q -O /dev/null --method POST --header \"Authorization: Bearer $TOKEN\" --body-data '{MAIN}' {URL}",
    ),
    Pasted(
        "wget-file",
        f'wget -qO- --header="Authorization: Bearer $TOKEN" --post-file=body.json {URL}',
        told=("body.json",),
    ),
    Pasted(
        "httpie",
        f'http POST $API{TRIGGER} Authorization:"Bearer $TOKEN" revision=main input:=\'{{"values": []}}\'',
        '{"revision": "main", "input": {"values": []}}',
        runs=False,
    ),
    Pasted("httpie-bearer", f"https -A bearer -a $TOKEN api.sourcecraft.tech{TRIGGER} revision=main", runs=False),
    Pasted("httpie-raw", f"http {URL} \"Authorization: Bearer $TOKEN\" --raw '{MAIN}'", runs=False),
    Pasted(
        "httpie-piped",
        f"echo '{MAIN}' | http POST {URL} \"Authorization: Bearer $TOKEN\"",
        runs=False,
        told=("what echo prints: now part",),
    ),
    Pasted(
        "httpie-form",
        f"http -f POST {URL} revision=main",
        None,
        told=("taken for http, and not translated: -f sends no JSON",),
    ),
    Pasted(
        "carets",
        f'curl -X POST "{URL}" ^\r\n  -H "Authorization: Bearer %TOKEN%" ^\r\n  -d "{{\\"revision\\": \\"main\\"}}"\r\n',
        kind=Kind.CMD,
        runs=False,
    ),
    Pasted(
        "careted-quotes",
        f'curl ^"{URL}^" ^\n  -H ^"Authorization: Bearer x^" ^\n  --data-raw ^"^{{^\\^"revision^\\^": ^\\^"main^\\^"^}}^"',
        kind=Kind.CMD,
        runs=False,
    ),
    Pasted("yaml-item", f"  - curl {URL} -d '{{}}'", "{}", kind=Kind.YAML, runs=False),
    Pasted("yaml-item-with-a-header", f"- curl {URL} {HEADER} -d '{MAIN}'", runs=False),
    Pasted(
        "yaml-block",
        f"job:\n  script:\n    - |\n      curl {URL} \\\n        -d '{MAIN}'\n",
        kind=Kind.YAML,
        runs=False,
    ),
    Pasted("yaml-folded", f"job:\n  script: >-\n    curl {URL}\n    -d '{MAIN}'\n", kind=Kind.YAML, runs=False),
    Pasted("yaml-quoted", f'- run: "curl {URL} -d \'{{\\"revision\\": \\"main\\"}}\'"', kind=Kind.YAML, runs=False),
    Pasted("jenkinsfile", f"pipeline {{ steps {{ sh 'curl {URL} -d {{}}' }} }}", "{}", kind=Kind.GROOVY, runs=False),
    Pasted(
        "jenkinsfile-with-escapes",
        f'sh "curl {URL} -d \'{{\\"revision\\": \\"main\\"}}\'"',
        told=("its string has escapes",),
        kind=Kind.GROOVY,
        runs=False,
    ),
    Pasted(
        "dockerfile",
        f"FROM debian\nRUN apt-get install -y curl\nRUN curl {URL} -d '{MAIN}'\n",
        told=("RUN: keep it", "line 1 FROM, line 2 RUN"),
        runs=False,
    ),
    Pasted(
        "makefile",
        f"trigger:\n\t@curl $(API){TRIGGER} -H \"Authorization: Bearer $$TOKEN\" -d '{MAIN}'\n",
        told=("line 1 trigger",),
        runs=False,
    ),
]

PYTHON = [
    Pasted("requests", f'requests.post("{URL}", headers={{"Authorization": f"Bearer {{TOKEN}}"}}, json={MAIN})'),
    Pasted(
        "variables",
        f'payload = {{"revision": BRANCH, "input": {{"values": [{{"name": "n", "value": str(N)}}]}}}}\n'
        f'response = requests.post(f"{{API}}{TRIGGER}", json=payload, headers={{"Authorization": "Bearer " + TOKEN}})\n'
        'print(response.json()["flux_public_id"])',
        '{"revision": "BRANCH", "input": {"values": [{"name": "n", "value": "str(N)"}]}}',
        told=("flux_public_id: it is slug", "payload: now part of the new call"),
        runs=False,
    ),
    Pasted(
        "all-inputs-computed",
        f'requests.post(API + "{TRIGGER}", headers={{"Authorization": "Bearer %s" % TOKEN}},'
        ' data=json.dumps({"input": {"values": [{"name": k, "value": v} for k, v in {"a": "1"}.items()]}}))',
        "{\"input\": {\"values\": [\"[{'name': k, 'value': v} for k, v in {'a': '1'}.items()]\"]}}",
    ),
    Pasted(
        "format",
        f'requests.request("POST", "{{}}{TRIGGER}".format(API), data=\'{MAIN}\', headers={{"Authorization": f"Bearer {{TOKEN}}"}}, timeout=30)',
        told=("timeout: not in the new call",),
    ),
    Pasted(
        "indented",
        f'    with httpx.Client() as client:\n        client.post("{URL}", json={MAIN}).raise_for_status()\n',
        told=("no Authorization header",),
        runs=False,
    ),
    Pasted(
        "urllib",
        f'request = urllib.request.Request("{URL}", data=b\'{MAIN}\', headers={{"Authorization": "Bearer x"}}, method="POST")',
        runs=False,
    ),
    Pasted(
        "encoded-name",
        f'requests.post(f"{{API}}/acme/shop/ci_workflows/{{quote(NAME)}}/trigger", json={MAIN}, headers=H)',
        told=("quote(NAME): the name of the workflow is in the body now, so do not encode it",),
        runs=False,
    ),
    Pasted("unknown-body", f'requests.post("{URL}", json=make_body())', None, told=("its body is make_body(), which",)),
    Pasted("form", f'requests.post("{URL}", data={MAIN})', None, told=("data= sends a form",)),
    Pasted(
        "changed-body",
        f'b = {{}}\nb["revision"] = "a"\nrequests.post("{URL}", json=b)',
        None,
        told=("its body is b, which",),
    ),
    Pasted(
        "unpacked-body", f'requests.post("{URL}", json={{**base, "revision": "a"}})', None, told=("in a variable (**)",)
    ),
    Pasted("wrong", f'requests.post("{URL}", json={{', None, told=("taken for Python, and not read: line 1",)),
]

JAVASCRIPT = [
    Pasted(
        "fetch",
        f'await fetch("{URL}", {{ method: "POST", headers: {{ Authorization: `Bearer ${{TOKEN}}` }}, body: JSON.stringify({MAIN}) }});',
    ),
    Pasted(
        "variables",
        f"const response = await fetch(`${{API}}{TRIGGER}`, {{\n  method: 'POST',\n  headers: {{ 'Authorization': 'Bearer ' + TOKEN }},\n"
        "  body: JSON.stringify({ revision: BRANCH, input: { values: [{ name: 'n', value: `${N}` }] } }),\n});\n"
        "console.log((await response.json()).flux_public_id);",
        '{"revision": "BRANCH", "input": {"values": [{"name": "n", "value": "N"}]}}',
        told=("flux_public_id: it is slug",),
    ),
    Pasted(
        "axios",
        f"axios.post('{URL}', {{ revision: 'main' }}, {{ headers: {{ Authorization: `Bearer ${{TOKEN}}` }}, timeout: 1000 }});",
        told=("timeout: not in the new call",),
        runs=False,
    ),
    Pasted("axios-object", f"axios({{ method: 'post', url: '{URL}', data: {{ revision: 'main' }} }})", runs=False),
    Pasted("other-client", f"got.post('{URL}', {{ json: {{}} }})", None, told=("it has no call with fetch or axios",)),
    Pasted("unknown-options", f"fetch('{URL}', options)", None, told=("its options are in a variable",)),
    Pasted(
        "unknown-body", f"fetch('{URL}', {{ method: 'POST', body: make() }})", None, told=("its body is make(), which",)
    ),
]

POWERSHELL = [
    Pasted(
        "hash",
        f'Invoke-RestMethod -Method Post -Uri "$API{TRIGGER}" `\n  -Headers @{{ Authorization = "Bearer $env:TOKEN" }} `\n'
        '  -ContentType "application/json" -Body (@{ revision = "main" } | ConvertTo-Json)',
    ),
    Pasted(
        "splatted",
        f"$body = @{{ input = @{{ values = @(@{{ name = 'n'; value = \"$N\" }}) }} }} | ConvertTo-Json -Depth 5\n"
        f"$call = @{{ Uri = '{URL}'; Method = 'POST'; Body = $body; TimeoutSec = 30 }}\n$run = Invoke-RestMethod @call\n$run.flux_id",
        '{"input": {"values": [{"name": "n", "value": "$N"}]}}',
        told=("$call, $body: now part of the new call", "flux_id: it is id", "-timeoutsec: not in"),
    ),
    Pasted("json", f"irm {URL} -Method POST -Body '{MAIN}'", told=("no Authorization header",)),
    Pasted("here-string", f'Invoke-WebRequest -Uri {URL} -Method Post -Body @"\n{MAIN}\n"@'),
    Pasted("table-as-a-form", f"irm {URL} -Method POST -Body @{{ revision = 'a' }}", None, told=("sent as a form",)),
    Pasted("unknown", f"irm {URL} -Method POST -Body $body", None, told=("its body is $body, which",)),
]

NOT_READ = [
    Pasted("go", 'http.NewRequest("POST", url, body)', None, told=("taken for Go, which cannot be read",)),
    Pasted("php", "<?php $ch = curl_init($url);", None, told=("taken for PHP",)),
    Pasted("ruby", "Net::HTTP.post(uri, body)", None, told=("taken for Ruby",)),
    Pasted("prose", "start the build, please", None, told=("neither JSON nor a call",)),
]
