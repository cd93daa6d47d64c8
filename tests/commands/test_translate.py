import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.calls.reading import shell
from tests.commands.running import COMMAND, Run, environment, examples, on_a_terminal

PATH = "/acme/shop/ci_workflows/build/trigger"
URL = f"https://api.sourcecraft.tech{PATH}"
LEGACY = """{"revision": "tags:v1.0.0", "workflow_revision": "main",
             "input": {"values": [{"name": "price", "value": "5$"}]}}"""
SUCCESSOR = {
    "head": {"tag": "v1.0.0"},
    "config_revision": {"branch": "main"},
    "workflows": [{"name": "build", "values": [{"name": "price", "value": "5$"}]}],
}


def test_a_body_on_standard_input_becomes_the_successor_body(run: Run) -> None:
    ran = run("translate", "--path", PATH, stdin=LEGACY)

    assert ran.status == 0
    assert json.loads(ran.out) == SUCCESSOR
    assert "POST https://api.sourcecraft.tech/repos/acme/shop/cicd/runs" in ran.said


def test_a_body_goes_to_the_address_that_callers_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shim.yaml").write_text("upstream: {url: http://internal.example}")
    ran = run("translate", "--config", "shim.yaml", "--curl", "--path", PATH, stdin=LEGACY)
    assert "http://internal.example/repos/acme/shop/cicd/runs" in ran.out

    (tmp_path / "shim.yaml").write_text("lifecycle: {successor_url: https://told.example}")
    ran = run("translate", "--config", "shim.yaml", "--path", PATH, stdin=LEGACY)
    assert "POST https://told.example/repos/acme/shop/cicd/runs" in ran.said


def test_a_body_is_read_from_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(LEGACY)

    assert json.loads(run("translate", "body.json", "--path", PATH).out) == SUCCESSOR


@pytest.mark.parametrize(
    ("path", "workflow", "successor"),
    [
        ("/repos/id:42/ci_workflows/build/trigger", "build", "/repos/id:42/cicd/runs"),
        ("/acme/shop/ci_workflows/release%2Fprod/trigger", "release/prod", "/repos/acme/shop/cicd/runs"),
        ("/acme/shop/ci_workflows/%D1%82%D0%B5%D1%81%D1%82/trigger", "тест", "/repos/acme/shop/cicd/runs"),
        ("/acme/shop/ci_workflows/тест/trigger", "тест", "/repos/acme/shop/cicd/runs"),
        ("/acme/магазин/ci_workflows/a+b/trigger", "a+b", "/repos/acme/магазин/cicd/runs"),
        ("/acme/shop/ci_workflows/a%24b/trigger", "a$b", "/repos/acme/shop/cicd/runs"),
        (f"{PATH}?from=https://ci.example/a", "build", "/repos/acme/shop/cicd/runs"),
    ],
)
def test_the_path_gives_the_workflow_and_the_successor(run: Run, path: str, workflow: str, successor: str) -> None:
    for ran in (
        run("translate", "--path", path, stdin="{}"),
        run("translate", stdin=f"curl -X POST 'https://api.sourcecraft.tech{path}'"),
    ):
        assert ran.status == 0
        assert json.loads(ran.out) == {"workflows": [{"name": workflow}]}
        assert f"POST https://api.sourcecraft.tech{successor}\n" in ran.said


def test_without_a_path_the_reader_is_told_what_to_fill_in(run: Run) -> None:
    ran = run("translate", stdin="{}")

    assert ran.status == 0
    assert json.loads(ran.out) == {"workflows": [{"name": "WORKFLOW"}]}
    assert "ORG, REPO and WORKFLOW" in ran.err
    assert "--path" in ran.err


def test_an_empty_body_is_one_without_fields(run: Run) -> None:
    assert json.loads(run("translate", "--path", PATH).out) == {"workflows": [{"name": "build"}]}


def test_fields_that_were_ignored_are_warned_about(run: Run) -> None:
    body = '{"workflow_slug": "build", "$x": 1, "input": {"extra": 1, "values": []}}'

    ran = run("translate", "--path", PATH, stdin=body)

    assert ran.status == 0
    assert json.loads(ran.out) == {"workflows": [{"name": "build"}]}
    warned = [line.split(": ")[2] for line in ran.err.splitlines() if line.startswith("trigger-shim: warning: ")]
    assert warned == ["workflow_slug", "$x", "input.extra"]


CALL = f"""$ curl -sS -X POST "$API{PATH}" \\
    -H 'content-type: text/plain' -H "Authorization: Bearer $TOKEN" \\
    -d '{{"revision": "'"$BRANCH"'", "input": {{"values": [{{"name": "price", "value": "5$"}}]}}}}' | jq .
"""


def test_a_curl_command_line_becomes_the_successor_body(run: Run) -> None:
    ran = run("translate", stdin=CALL)

    assert ran.status == 0
    assert json.loads(ran.out) == {
        "head": {"branch": "$BRANCH"},
        "workflows": [{"name": "build", "values": [{"name": "price", "value": "5$"}]}],
    }
    assert ran.err.endswith("POST $API/repos/acme/shop/cicd/runs\n")


def test_a_curl_command_line_becomes_one_for_the_successor(run: Run) -> None:
    ran = run("translate", "--curl", stdin=CALL)

    assert ran.status == 0
    call = shell(ran.out)
    assert (call.method, call.url) == ("POST", "<$API>/repos/acme/shop/cicd/runs")
    assert sorted(call.headers) == [("Authorization", "Bearer <$TOKEN>"), ("Content-Type", "application/json")]
    assert json.loads(call.body) == {
        "head": {"branch": "<$BRANCH>"},
        "workflows": [{"name": "build", "values": [{"name": "price", "value": "5$"}]}],
    }


@pytest.mark.parametrize("field", ["revision", "workflow_revision", "workflowRevision"])
@pytest.mark.parametrize("revision", ["'\"$BRANCH\"'", "main", "5$"])
def test_a_revision_that_is_a_shell_variable_is_warned_about(run: Run, field: str, revision: str) -> None:
    ran = run("translate", "--curl", stdin=f'curl -X POST $API{PATH} -d \'{{"{field}": "{revision}"}}\'')

    assert ran.status == 0
    assert ("a revision is a variable" in ran.err) == ("BRANCH" in revision)


def test_a_workflow_revision_may_be_spelled_as_a_protobuf_gateway_takes_it(run: Run) -> None:
    ran = run("translate", "--path", PATH, stdin='{"workflowRevision": "dev"}')

    assert json.loads(ran.out) == {"workflows": [{"name": "build"}], "config_revision": {"branch": "dev"}}
    assert "warning" not in ran.err


def test_a_body_becomes_a_curl_command_line_in_which_only_the_token_is_a_variable(run: Run) -> None:
    ran = run("translate", "--curl", "--path", PATH, stdin=LEGACY)

    call = shell(ran.out)
    assert (call.method, call.url) == ("POST", "https://api.sourcecraft.tech/repos/acme/shop/cicd/runs")
    assert call.header("authorization") == "Bearer <$SOURCECRAFT_TOKEN>"
    assert json.loads(call.body) == SUCCESSOR


def test_a_dollar_in_the_name_of_a_workflow_is_no_variable(run: Run) -> None:
    ran = run("translate", "--curl", "--path", "/acme/shop/ci_workflows/a%24b/trigger", stdin="{}")

    assert json.loads(shell(ran.out).body) == {"workflows": [{"name": "a$b"}]}


@pytest.mark.parametrize(
    ("url", "successor"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ('"$API"', "<$API>"),
        ('"https://$HOST:$PORT"', "https://<$HOST>:<$PORT>"),
        ('"${API:-https://api.sourcecraft.tech}"', "<${API:-https://api.sourcecraft.tech}>"),
        ("api.sourcecraft.tech", "api.sourcecraft.tech"),
    ],
)
def test_the_base_address_stays_what_it_was(run: Run, url: str, successor: str) -> None:
    ran = run("translate", "--curl", stdin=f"curl -X POST {url}'{PATH}'")

    assert shell(ran.out).url == f"{successor}/repos/acme/shop/cicd/runs"


def test_variables_in_the_path_stay_variables(run: Run) -> None:
    ran = run("translate", "--curl", stdin='curl -X POST "$API/$ORG/${REPO}/ci_workflows/$WORKFLOW/trigger"')

    call = shell(ran.out)
    assert call.url == "<$API>/repos/<$ORG>/<${REPO}>/cicd/runs"
    assert json.loads(call.body) == {"workflows": [{"name": "<$WORKFLOW>"}]}


@pytest.mark.parametrize(
    ("answer", "legacy"),
    [
        ({"id": "", "slug": "7", "status": "created"}, ("7", "7", "created")),
        ({"id": "x", "slug": "7", "status": "success", "workflows": [{}]}, ("x", "7", "created")),
        ({"slug": "7", "status": "success", "workflows": []}, ("7", "7", "nothing_to_start")),
    ],
)
def test_a_run_becomes_its_legacy_answer(run: Run, answer: Any, legacy: tuple[str, str, str]) -> None:
    ran = run("translate", "--response", stdin=json.dumps(answer))

    assert (ran.status, ran.err) == (0, "")
    assert json.loads(ran.out) == dict(zip(("flux_id", "flux_public_id", "trigger_status"), legacy, strict=True))


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "said"),
    [
        (["gone.json"], "", 2, "gone.json"),
        (["."], "", 2, "."),
        (["latin.json"], "", 2, "latin.json"),
        ([], b"\xff", 2, "UTF-8"),
        (["--path", PATH], "{", 1, "not JSON"),
        (["--path", PATH], "[]", 1, "$"),
        (["--path", PATH], '{"revision": 5}', 1, "$.revision"),
        (["--path", PATH], '{"input": {"values": {}}}', 1, "$.input.values"),
        (["--path", PATH], '{"workflow_revision": "a", "workflowRevision": "a"}', 1, "$.workflowRevision"),
        (["--path", PATH], '{"input":' * 1_000_000, 1, "nested"),
        (["--path", "/acme/shop/ci_workflows/%FF/trigger"], "{}", 1, "UTF-8"),
        (["--path", "/acme/shop/cicd/runs"], "{}", 1, "not the withdrawn trigger"),
        (["--path", "/repos/acme/shop/cicd/runs"], "{}", 1, "not the withdrawn trigger"),
        (["--path", PATH[1:]], "{}", 1, "--path"),
        (["--path", URL], "{}", 1, "--path"),
        (["--path", PATH + "\n"], "{}", 1, "--path"),
        (["--path", "/acme/\udcff/ci_workflows/build/trigger"], "{}", 1, "--path"),
        (["--path", ""], "{}", 1, "--path"),
        ([], "curl", 1, "no URL"),
        ([], f"curl -d @body.json {URL}", 1, "body.json"),
        ([], f"curl -X GET {URL}", 1, "POST"),
        ([], f"curl {URL}", 1, "POST"),
        ([], "curl -X POST https://api.sourcecraft.tech/", 1, "not the withdrawn trigger"),
        ([], 'curl -X POST "$URL"', 1, "$URL is not the withdrawn trigger"),
        ([], f"curl -X POST '$API/{PATH}'", 1, "$API"),
        ([], f'curl -X POST {URL} -d "$BODY"', 1, "its body is $BODY, which is not set in this text"),
        (["--response"], "{}", 1, "neither an id nor a slug"),
        (["--response"], "<html>", 1, "not a run"),
        (["--response"], "", 1, "not a run"),
        (["--response", "gone.json"], "", 2, "gone.json"),
    ],
)
def test_a_wrong_input_is_refused_in_one_line(
    run: Run, tmp_path: Path, arguments: list[str], stdin: str | bytes, status: int, said: str
) -> None:
    (tmp_path / "latin.json").write_bytes(b'{"revision": "\xff"}')

    ran = run("translate", *arguments, stdin=stdin)

    assert (ran.status, ran.out) == (status, "")
    assert said in ran.said


@pytest.mark.parametrize(
    ("target", "start"),
    [("curl", "curl -X POST"), ("httpie", "http "), ("python", "import requests"), ("javascript", "const response"),
     ("src", "src run trigger build -R acme/shop")],
)  # fmt: skip
def test_a_body_and_a_call_are_written_in_any_form(run: Run, target: str, start: str) -> None:
    for ran in (
        run("translate", "--to", target, "--path", PATH, stdin="{}"),
        run("translate", "--to", target, stdin=f"curl -X POST {URL}"),
    ):
        assert ran.status == 0
        assert start in ran.out


def test_only_new_calls_are_on_standard_output_and_each_note_is_a_line(run: Run) -> None:
    script = f"""#!/bin/sh
curl -sf {URL} -H "Authorization: Bearer $TOKEN" -d '{{}}' | jq -r .flux_public_id
curl {URL} -d "$BODY"
curl https://example.com/
wget --post-data='{{}}' {URL}
"""
    ran = run("translate", "--to", "curl", stdin=script)

    assert ran.status == 1
    assert [line for line in ran.out.splitlines() if not line.startswith("  -")] == [
        "curl -s -f -X POST https://api.sourcecraft.tech/repos/acme/shop/cicd/runs \\",
        "curl -X POST https://api.sourcecraft.tech/repos/acme/shop/cicd/runs \\",
    ]
    assert [line.removeprefix("trigger-shim: ").partition(" - ")[0] for line in ran.err.splitlines()] == [
        "left out, since these are not calls: line 2 jq",
        "warning: line 2: flux_public_id: it is slug in the new answer",
        "warning: line 2: kept: -f",
        "error: line 3: taken for curl, and not translated: its body is $BODY, which is not set in this text:"
        " translate what it holds with --path",
        "line 4: left out: https://example.com/ is not the withdrawn trigger: its path is "
        "…/org/repo/ci_workflows/workflow/trigger",
        "warning: line 5: no Authorization header: the service needs 'Authorization: Bearer TOKEN'",
    ]


def test_a_script_whose_withdrawn_calls_are_all_translated_is_a_success(run: Run) -> None:
    assert run("translate", stdin=f"curl {URL} -d '{{}}'\ncurl https://example.com/").status == 0


def test_a_file_that_a_call_sends_is_read_from_the_working_folder_or_beside_the_script(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "ci"
    folder.mkdir()
    (folder / "call.sh").write_text(f"curl {URL} -d @body.json\n")
    for place in (folder, tmp_path):
        (place / "body.json").write_text(json.dumps({"revision": place.name}))
        ran = run("translate", "ci/call.sh")
        assert json.loads(ran.out)["head"] == {"branch": place.name}
        assert "body.json: its content was read" in ran.err


@pytest.mark.parametrize("name", ["gone.json", ".", "/dev/zero", "latin.json", "long.json"])
def test_a_file_that_cannot_be_read_is_named(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "latin.json").write_bytes(b"\xff")
    (tmp_path / "long.json").write_bytes(b" " * (1 << 20) + b"{}")

    ran = run("translate", stdin=f"curl {URL} -d @{name}")

    assert (ran.status, ran.out) == (1, "")
    assert f"its body is in the file {name}: translate that file with --path" in ran.said


def test_no_value_of_an_option_nor_another_command_is_on_standard_error(run: Run) -> None:
    script = f"""deploy --password hunter2
PASS=hunter2 curl -x http://me:hunter2@proxy -b id=hunter2 --retry 2 {URL} -d '{{"x": "hunter2"}}' -H 'A: hunter2'
curl -u me:hunter2 {URL} -d hunter2
curl {URL} {URL}?hunter2 -d hunter2
http POST {URL} hunter2
"""
    ran = run("translate", "--to", "python", stdin=script)

    assert ran.out
    assert "hunter2" not in ran.err


def test_a_byte_order_mark_is_no_part_of_the_text(run: Run) -> None:
    assert run("translate", "--path", PATH, stdin="\ufeff{}").status == 0


def test_on_a_terminal_it_says_that_it_waits() -> None:
    shown = on_a_terminal(["translate", "--path", PATH], 100, typed="{}\n\x04")

    assert "waiting for a body or a call on the terminal; end it with Ctrl-D" in shown
    assert '"name": "build"' in shown


def test_translating_a_request_and_an_answer_at_once_is_refused(run: Run) -> None:
    assert run("translate", "--curl", "--response").status == 2


def test_text_is_utf_8_whatever_the_locale() -> None:
    command = [COMMAND, "translate", "--path", "/acme/shop/ci_workflows/тест/trigger"]
    body = '{"revision": "ветка"}'.encode()

    ran = subprocess.run(command, env=environment(LC_ALL="C"), input=body, capture_output=True, check=True)

    assert json.loads(ran.stdout) == {"head": {"branch": "ветка"}, "workflows": [{"name": "тест"}]}


def test_the_examples_of_translate_work(run: Run, tmp_path: Path) -> None:
    (tmp_path / "old-call.sh").write_text(f"curl -X POST {URL} \\\n  -d '{{}}'\n")
    script = "\n".join(["set -e", *examples(run("translate", "--help").out)])

    ran = subprocess.run(["sh", "-c", script], env=environment(), capture_output=True, text=True, check=True)

    assert '"tag": "v1.0.0"' in ran.stdout
    assert "curl -X POST https://api.sourcecraft.tech/repos/acme/shop/cicd/runs" in ran.stdout
