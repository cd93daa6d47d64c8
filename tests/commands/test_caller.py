import json
from pathlib import Path

from tests.commands.running import Run
from tests.commands.samples import UNTIL


def test_one_caller_is_told_in_full(run: Run, file: str) -> None:
    ran = run("caller", "nightly", *UNTIL, file)

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(
        "nightly, as of 2026-11-24 00:00 UTC\n\n  owner         team-a\n  user          alice\n  state         active: "
    )
    assert "curl -X POST https://api.sourcecraft.tech/repos/acme/shop/cicd/runs" in ran.out


def test_the_new_call_goes_to_the_configured_service(run: Run, file: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("upstream: {url: https://api.acme.example/v1}")

    assert "curl -X POST https://api.acme.example/v1/repos/acme/shop/cicd/runs" in run("caller", "nightly", file).out


def test_the_new_call_goes_to_the_address_that_callers_are_told(run: Run, file: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("lifecycle: {successor_url: https://told.example}")

    assert "curl -X POST https://told.example/repos/acme/shop/cicd/runs" in run("caller", "nightly", file).out
    assert "https://told.example/repos/acme/shop/cicd/runs" in run("callers", "--format", "html", file).out


def test_one_caller_as_json(run: Run, file: str) -> None:
    found = json.loads(run("caller", "10.1.2.3 curl/8", *UNTIL, "--format", "json", file).out)

    assert (found["caller"], found["state"], found["errors"]) == (
        "10.1.2.3 curl/8",
        "active",
        {"504 timeout": 29},
    )
    assert found["changes"][0]["legacy"] == "POST /acme/shop/ci_workflows/build/trigger"
    assert found["changes"][0]["request"].startswith("curl -X POST https://")
    assert found["last_calls"][0] == {
        "ts": "2026-11-22T00:00:00Z",
        "method": "POST",
        "path": "/acme/shop/ci_workflows/build/trigger",
        "status": 504,
        "outcome": "timeout",
        "request_id": "r-1",
        "error_code": None,
        "run": None,
    }


def test_one_caller_as_markdown(run: Run, file: str) -> None:
    out = run("caller", "nightly", *UNTIL, "--format", "markdown", file).out

    assert out.startswith("# `nightly`\n\nAs of 2026-11-24 00:00 UTC.\n\n- owner: `team-a`\n")
    assert "\n```sh\ncurl -X POST https://" in out


def test_a_name_that_is_nobodys_gets_the_nearest_ones(run: Run, file: str) -> None:
    ran = run("caller", "nightli", file)

    assert (ran.status, ran.out) == (1, "")
    assert ran.said == "trigger-shim: error: nightli: no such caller in the log; did you mean nightly?\n"
    assert "'trigger-shim callers' lists them" in run("caller", "\x1bzzzz", file).said
