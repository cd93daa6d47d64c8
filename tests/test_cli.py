import contextlib
import http.client
import io
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from proxy import __version__, cli, curl, sources
from proxy.callers.identity import Identity
from proxy.withdrawn import endpoints, trigger
from tests.processes import running

COMMAND = str(Path(sys.executable).with_name("trigger-shim"))
COMMANDS = ("serve", "health", "check", "lifecycle", "translate", "scan", "demo")
PATH = "/acme/shop/ci_workflows/build/trigger"
URL = f"https://api.sourcecraft.tech{PATH}"
SECRET = "s3cret-S3cret-s3cret"


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The one line on standard error."""
        assert self.err.count("\n") == 1, self.err
        return self.err


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(sources.ENVIRONMENT_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*arguments: str, stdin: str | bytes = b"") -> Ran:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        as_under_posix = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="surrogateescape")
        monkeypatch.setattr(sys, "stdin", as_under_posix)
        try:
            status = cli.main(arguments)
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else 1
        return Ran(status, *capsys.readouterr())

    return run


def environment(**more: str) -> dict[str, str]:
    """As a shell has it: output to a pipe is buffered, and the command is on the path."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}", **more}


# --- the command line


def test_version_says_the_version(run: Run) -> None:
    assert run("--version") == Ran(0, f"trigger-shim {__version__}\n", "")


def test_help_names_every_command(run: Run) -> None:
    ran = run("--help")

    assert ran.status == 0
    assert all(re.search(rf"^ +{command}\b", ran.out, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments", [[], ["start"], ["check", "--speed"], ["serve", "here"], ["demo", "--listen", "x"]]
)
def test_a_wrong_command_line_exits_2_with_the_usage(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)

    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("usage: trigger-shim")


def examples(text: str) -> list[str]:
    return [line.strip() for line in text.partition("example:\n")[2].splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_an_example_that_is_read(run: Run, command: str) -> None:
    ran = run(command, "--help")

    assert ran.status == 0
    assert examples(ran.out)
    for example in examples(ran.out):
        words = shlex.split(example.rpartition("| ")[2])
        assert words[:2] == ["trigger-shim", command]
        assert callable(cli._parser().parse_args(words[1:]).command)


def test_the_examples_of_translate_work(run: Run, tmp_path: Path) -> None:
    (tmp_path / "old-call.sh").write_text(f"curl -X POST {URL} \\\n  -d '{{}}'\n")
    script = "\n".join(["set -e", *examples(run("translate", "--help").out)])

    ran = subprocess.run(["sh", "-c", script], env=environment(), capture_output=True, text=True, check=True)

    assert '"tag": "v1.0.0"' in ran.stdout
    assert "curl -X POST https://api.sourcecraft.tech/repos/acme/shop/cicd/runs" in ran.stdout


@pytest.mark.parametrize("arguments", [["check"], ["translate", "--help"]])
def test_a_reader_that_has_enough_is_no_error(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    with open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
        ran = subprocess.run([COMMAND, *arguments], env=environment(), stdout=pipe, stderr=subprocess.PIPE, check=False)

    assert ran.returncode == 0
    assert b"Broken" not in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_an_interrupt_ends_a_command_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Keyboard(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, _into: object) -> int:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Keyboard())))

    assert cli.main(["translate"]) == 130
    assert capsys.readouterr() == ("", "")


# --- check


def test_check_prints_the_effective_configuration(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shim.yaml").write_text("upstream: {timeout: 9, url: https://file.example}\nadmin: null\n")
    monkeypatch.setenv("TRIGGER_SHIM__LIMITS__DRAIN", "2")
    monkeypatch.setenv("TRIGGER_SHIM__LISTEN", "127.0.0.1:1")

    ran = run("check", "--config", "shim.yaml", "--listen", "[::1]:2", "--upstream", "https://flag.example")

    assert (ran.status, ran.err) == (0, "")
    values = yaml.safe_load(ran.out)
    assert values["admin"] is None
    assert values["listen"] == "[::1]:2"
    assert values["limits"]["drain"] == 2
    assert (values["upstream"]["url"], values["upstream"]["timeout"]) == ("https://flag.example", 9)


def test_what_check_prints_is_a_file_that_check_accepts(run: Run, tmp_path: Path) -> None:
    printed = run("check").out
    (tmp_path / "config.yaml").write_text(printed)

    assert run("check") == Ran(0, printed, "")


def test_check_says_all_problems_a_line_each(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text("lisen: x\nlimits: {drain: 0}\n")
    monkeypatch.setenv("TRIGGER_SHIM__UPSTREAM__TIMEOUT", "soon")

    ran = run("check", "--listen", "nowhere")

    assert (ran.status, ran.out) == (2, "")
    said = ran.err.splitlines()
    assert all(line.startswith("trigger-shim: error: ") for line in said)
    keys = ["limits.drain", "lisen", "listen", "upstream.timeout"]
    assert sorted(line.split(": ")[2] for line in said) == keys


def test_a_missing_file_exits_2_with_its_name(run: Run) -> None:
    ran = run("check", "--config", "gone.yaml")

    assert (ran.status, ran.out) == (2, "")
    assert "gone.yaml" in ran.said


def test_check_does_not_print_the_secret(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY", SECRET)
    assert SECRET not in "".join(run("check")[1:])

    monkeypatch.setenv("TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY", f"*{SECRET}")
    ran = run("check")
    assert ran.status == 2
    assert SECRET not in ran.out + ran.err


# --- translate

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
    call = curl.parse(ran.out)
    assert (call.method, call.url) == ("POST", "$API/repos/acme/shop/cicd/runs")
    assert sorted(call.headers) == [("Authorization", "Bearer $TOKEN"), ("Content-Type", "application/json")]
    literal = curl.LITERAL_DOLLAR
    assert json.loads(call.body) == {
        "head": {"branch": "$BRANCH"},
        "workflows": [{"name": "build", "values": [{"name": "price", "value": f"5{literal}"}]}],
    }


@pytest.mark.parametrize("field", ["revision", "workflow_revision", "workflowRevision"])
@pytest.mark.parametrize("revision", ["'\"$BRANCH\"'", "main", "5$"])
def test_a_revision_that_is_a_shell_variable_is_warned_about(run: Run, field: str, revision: str) -> None:
    ran = run("translate", "--curl", stdin=f'curl -X POST $API{PATH} -d \'{{"{field}": "{revision}"}}\'')

    assert ran.status == 0
    assert ("a revision is a shell variable" in ran.err) == ("BRANCH" in revision)


def test_a_workflow_revision_may_be_spelled_as_a_protobuf_gateway_takes_it(run: Run) -> None:
    ran = run("translate", "--path", PATH, stdin='{"workflowRevision": "dev"}')

    assert json.loads(ran.out) == {"workflows": [{"name": "build"}], "config_revision": {"branch": "dev"}}
    assert "warning" not in ran.err


def test_a_body_becomes_a_curl_command_line_in_which_only_the_token_is_a_variable(run: Run) -> None:
    ran = run("translate", "--curl", "--path", PATH, stdin=LEGACY)

    call = curl.parse(ran.out)
    assert (call.method, call.url) == ("POST", "https://api.sourcecraft.tech/repos/acme/shop/cicd/runs")
    assert call.header("authorization") == "Bearer $SOURCECRAFT_TOKEN"
    assert "$" not in call.body
    assert json.loads(call.body.replace(curl.LITERAL_DOLLAR, "$")) == SUCCESSOR


def test_a_dollar_in_the_name_of_a_workflow_is_no_variable(run: Run) -> None:
    ran = run("translate", "--curl", "--path", "/acme/shop/ci_workflows/a%24b/trigger", stdin="{}")

    assert "$" not in curl.parse(ran.out).body


@pytest.mark.parametrize(
    ("url", "successor"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ('"$API"', "$API"),
        ('"https://$HOST:$PORT"', "https://$HOST:$PORT"),
        ('"${API:-https://api.sourcecraft.tech}"', "${API:-https://api.sourcecraft.tech}"),
        ("api.sourcecraft.tech", "api.sourcecraft.tech"),
    ],
)
def test_the_base_address_stays_what_it_was(run: Run, url: str, successor: str) -> None:
    ran = run("translate", "--curl", stdin=f"curl -X POST {url}'{PATH}'")

    assert curl.parse(ran.out).url == f"{successor}/repos/acme/shop/cicd/runs"


def test_variables_in_the_path_stay_variables(run: Run) -> None:
    ran = run("translate", "--curl", stdin='curl -X POST "$API/$ORG/${REPO}/ci_workflows/$WORKFLOW/trigger"')

    call = curl.parse(ran.out)
    assert call.url == "$API/repos/$ORG/${REPO}/cicd/runs"
    assert json.loads(call.body) == {"workflows": [{"name": "$WORKFLOW"}]}


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
        (["--path", PATH], '{"input":' * 100000, 1, "nested"),
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
        ([], f'curl -X POST {URL} -d "$BODY"', 1, "not JSON"),
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
    assert curl.LITERAL_DOLLAR not in ran.err


def test_translating_a_request_and_an_answer_at_once_is_refused(run: Run) -> None:
    assert run("translate", "--curl", "--response").status == 2


def test_text_is_utf_8_whatever_the_locale() -> None:
    command = [COMMAND, "translate", "--path", "/acme/shop/ci_workflows/тест/trigger"]
    body = '{"revision": "ветка"}'.encode()

    ran = subprocess.run(command, env=environment(LC_ALL="C"), input=body, capture_output=True, check=True)

    assert json.loads(ran.stdout) == {"head": {"branch": "ветка"}, "workflows": [{"name": "тест"}]}


# --- demo


def test_the_demo_shows_four_calls_with_all_that_became_of_each(run: Run) -> None:
    ran = run("demo")

    assert (ran.status, ran.err) == (0, "")
    calls = re.split(r"^(?=\d\. )", ran.out, flags=re.MULTILINE)[1:]
    assert [call[0] for call in calls] == list("1234")
    for call, outcome in zip(calls, ("forwarded", "forwarded", "rejected", "upstream_error"), strict=True):
        answer = "run" if outcome == "forwarded" else "successor answer"
        for part in ("legacy request", "successor request", answer, "legacy answer", "caller record"):
            assert re.search(rf"^ +{part}  +\S", call, re.MULTILINE), part
        record = re.search(r"caller record +(\{.*\})", call)
        assert record is not None
        assert json.loads(record[1])["outcome"] == outcome
    assert "POST /acme/shop/ci_workflows/build/trigger" in calls[0]
    assert "POST /repos/acme/shop/cicd/runs" in calls[0]
    assert "POST /repos/id:42/cicd/runs" in calls[1]


def drops_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigger, "revision_to_successor", lambda _revision: None)


def starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b'{"flux_id": "1", "flux_public_id": "1", "trigger_status": "nothing_to_start"}'
    monkeypatch.setattr(trigger, "to_legacy", lambda *_: trigger.LegacyAnswer(200, answer))


def knows_no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "match", lambda *_: None)


def takes_any_body(monkeypatch: pytest.MonkeyPatch) -> None:
    request = trigger.SuccessorRequest(b'{"workflows":[{"name":"build"}]}', [], [])
    monkeypatch.setattr(trigger, "to_successor", lambda *_: request)


@pytest.mark.parametrize("broken", [drops_the_revision, starts_nothing, knows_no_endpoint, takes_any_body])
def test_the_demo_of_a_proxy_that_is_broken_exits_1(
    run: Run, monkeypatch: pytest.MonkeyPatch, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    broken(monkeypatch)

    ran = run("demo")

    assert ran.status == 1
    assert "WRONG" in ran.out
    assert "4 of 4" not in ran.out


# --- serve


@contextlib.contextmanager
def serving(*arguments: str, stderr: int = subprocess.PIPE, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The command, once it serves: the caller log's first line is the heartbeat of the start."""
    given = environment(TRIGGER_SHIM__CALLERS__LOG='"-"', TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY=SECRET, **variables)
    command = [COMMAND, "serve", *arguments]
    with running(subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=stderr, text=True)) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "heartbeat"
        yield process


def test_serve_says_nothing_where_nobody_looks_and_ends_with_0_when_it_is_stopped() -> None:
    with serving("--listen", "127.0.0.1:0", TRIGGER_SHIM__ADMIN="127.0.0.1:0") as process:
        process.send_signal(signal.SIGTERM)

        _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (0, "")


def test_serve_tells_a_terminal_where_it_listens_forwards_and_logs() -> None:
    terminal, inner = pty.openpty()
    os.set_blocking(terminal, False)
    flags = ("--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:9")
    with serving(*flags, stderr=inner, TRIGGER_SHIM__ADMIN="null") as process:
        listening, forwarding, logging = os.read(terminal, 4096).decode().splitlines()
        port = re.search(r"http://127\.0\.0\.1:(\d+)$", listening)
        assert port is not None
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=20)) as connection:
            connection.request("GET", "/-/healthz")
            assert connection.getresponse().status == 200

        process.send_signal(signal.SIGINT)

        assert process.wait(timeout=60) == 0
    assert "http://127.0.0.1:9" in forwarding
    assert logging.endswith(" -")
    os.close(terminal)
    os.close(inner)


def ran_serve(*arguments: str, **variables: str) -> Ran:
    command = [COMMAND, "serve", "--listen", "127.0.0.1:0", *arguments]
    ran = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, check=False, timeout=60)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def refused_to_serve(*arguments: str, **variables: str) -> str:
    ran = ran_serve(*arguments, **variables)
    assert (ran.status, ran.out) == (1, "")
    return ran.said


@pytest.mark.parametrize("key", ["listen", "admin"])
def test_a_port_in_use_is_said_in_one_line_with_its_key(key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        variables = {"TRIGGER_SHIM__ADMIN": address if key == "admin" else "null"}

        said = refused_to_serve(*(["--listen", address] if key == "listen" else []), **variables)

    assert said.startswith(f"trigger-shim: error: {key}: {address}: ")


def test_a_caller_log_that_cannot_be_opened_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    said = refused_to_serve(TRIGGER_SHIM__ADMIN="null", TRIGGER_SHIM__CALLERS__LOG="file/inside/callers.jsonl")

    assert said.startswith("trigger-shim: error: callers.log: ")


def test_a_bad_configuration_stops_the_start() -> None:
    ran = ran_serve("--listen", "nowhere")

    assert (ran.status, ran.out) == (2, "")
    assert ran.said.startswith("trigger-shim: error: listen: ")


# --- fingerprint


@pytest.mark.parametrize("given", ["s3cret-token", "Bearer s3cret-token\n", "  s3cret-token\n"])
def test_a_fingerprint_is_the_one_that_the_log_names_a_token_by(
    run: Run, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY", SECRET)
    caller = Identity([], SECRET.encode()).identify(None, [], "Bearer s3cret-token", None)
    ran = run("fingerprint", stdin=given)
    assert (ran.status, ran.out, ran.err) == (0, f"{caller.token}\n", "")


def test_the_key_beside_the_log_is_made_where_the_configuration_has_none(run: Run, tmp_path: Path) -> None:
    first, second = (run("fingerprint", stdin="s3cret").out for _ in range(2))
    assert first == second
    assert (tmp_path / "logs" / "callers.key").stat().st_mode & 0o777 == 0o600


def test_a_fingerprint_of_nothing_is_refused(run: Run) -> None:
    ran = run("fingerprint", stdin=" \n")
    assert ran.status == 2
    assert "standard input" in ran.said
