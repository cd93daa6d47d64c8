import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from proxy import config, errors
from proxy.cli import main
from proxy.gateway.call import body, retries, slashes
from proxy.gateway.delivery import PATIENCE
from proxy.gateway.metrics import Metrics
from proxy.gateway.server import exchange, protocol
from proxy.gateway.upstream import pool
from proxy.gateway.upstream.connection import READ_SIZE, UPLOAD_STEP
from proxy.gateway.upstream.upstream import ANSWER_LIMIT
from proxy.withdrawn.current import PUBLISHED
from tests.support.proxy import watched
from tests.support.sockets import free_port
from tests.support.upstream import Upstream
from tests.system.faults import ANSWERS, FAULTS, MOVED, RESTARTED, Seen

ROOT = Path(__file__).parents[2]
README, RUNNING, WITHDRAWN, SCAN = (
    (ROOT / page).read_text(encoding="utf-8")
    for page in ("README.md", "deploy/README.md", "proxy/withdrawn/README.md", "proxy/scan/README.md")
)
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(p for room in ("deploy", "proxy", "tests") for p in (ROOT / room).rglob("*.md")))
)


def test_every_target_that_the_pages_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", pages, re.MULTILINE))
    assert named >= {"demo", "test", "soak", "lock"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_every_command_and_option_that_the_pages_name_exists(capsys: pytest.CaptureFixture[str]) -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    calls = set(re.findall(r"(?:`|bin/|\$ |^)trigger-shim ([a-z]+)((?: +--[a-z-]+)*)", pages, re.MULTILINE))
    assert {command for command, _ in calls} >= {"serve", "check", "translate", "scan", "demo"}
    for command, options in calls:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        text = capsys.readouterr().out
        assert text, command
        for option in options.split():
            assert option in text, f"{command} {option}"


def test_every_key_that_the_pages_name_exists() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if "bench" not in page.parts)
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    keys = set(values) | {f"{s}.{k}" for s, v in values.items() if isinstance(v, dict) for k in v}
    sections = "|".join(s for s, v in values.items() if isinstance(v, dict))
    named = set(re.findall(rf"`((?:{sections})\.\w+)`", pages))
    assert named >= {"limits.in_flight", "callers.log", "lifecycle.sunset"}
    assert named <= keys


def test_the_example_of_the_way_to_the_service_can_be_used(tmp_path: Path) -> None:
    example = re.search(r"^### The way to the service\n\n```yaml\n(.*?)^```$", RUNNING, re.MULTILINE | re.DOTALL)
    assert example is not None
    for key, value in yaml.safe_load(example[1])["upstream"].items():
        if "://" not in value:
            (tmp_path / value).write_text("user:password" if key == "proxy_credentials_file" else "")
    (tmp_path / "config.yaml").write_text(example[1])
    read = config.load(str(tmp_path / "config.yaml"), {})
    assert read.successor_url == "https://api.example"
    assert read.upstream.authorities == str(tmp_path / "company-ca.pem")


def test_the_metrics_that_the_pages_list_are_those_that_there_are() -> None:
    lifecycle = {"sunset": "2030-01-01"}
    text = Metrics(config.load(None, {}, {"lifecycle": lifecycle})).exposition("")[1].decode()
    found = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("trigger_shim_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    table = re.search(r"^\| metric \| \|\n(.*?)\n\n", RUNNING, re.MULTILINE | re.DOTALL)
    assert table is not None
    listed = {
        name: set(labels.split(",")) if labels else set()
        for name, labels in re.findall(r"`(trigger_shim_\w+)(?:\{([\w,]+)\})?`", table[1])
    }
    assert listed == found


def test_the_admin_pages_that_the_pages_list_are_those_that_there_are(upstream: Upstream, tmp_path: Path) -> None:
    table = re.search(r"^\| page \| \|\n(.*?)\n\n", RUNNING, re.MULTILINE | re.DOTALL)
    assert table is not None
    listed = {page for row in table[1].splitlines() for page in re.findall(r"`(/[\w.]*)`", row.split("|")[1])}
    with watched(upstream.url, tmp_path) as (_, admin):
        index = admin.call("/", None, method="GET").body.decode()
    assert listed == {"/", *re.findall(r"^/\S+", index, re.MULTILINE)}


def test_each_fault_of_the_upstream_is_listed_with_what_a_caller_gets() -> None:
    table = re.search(r"^\| what the service does \|.*\n\| --- .*\n((?:\|.*\n)+)", WITHDRAWN, re.MULTILINE)
    assert table is not None
    listed = {}
    for row in table[1].splitlines():
        does, gets, started, outcome = (cell.strip() for cell in row.strip("|").split("|"))
        codes = set(re.findall(r"`(Upstream\w+)`", gets))
        statuses = set() if gets.startswith("the same status") else set(map(int, re.findall(r"\b[2-5]\d\d\b", gets)))
        listed[does] = (statuses, codes, set(re.findall(r"`(\w+)`", started)), set(re.findall(r"`(\w+)`", outcome)))

    found: dict[str, list[Seen]] = {course.row: list(course.seen) for course in (RESTARTED, MOVED)}
    for fault in (ANSWERS | FAULTS).values():
        found.setdefault(fault.row, []).append(fault.trigger)
    assert listed == {does: summed_up(seen) for does, seen in found.items()}


def summed_up(seen: list[Seen]) -> tuple[set[int], set[str], set[str], set[str]]:
    """The statuses of the proxy's own, its codes, its words on runs, and the outcomes."""
    return (
        {one.status for one in seen if one.status != one.upstream or one.code is None},
        {one.code for one in seen if one.code is not None and one.code.startswith("Upstream")},
        {one.started for one in seen if one.started is not None},
        {one.outcome for one in seen},
    )


def test_the_translation_that_the_readme_shows_is_the_one_that_comes_out() -> None:
    shown = re.search(r"\$ trigger-shim translate --to curl <<'END'\n(.*?)\nEND\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    command = [sys.executable, "-m", "proxy", "translate", "--to", "curl"]
    out = subprocess.run(command, input=shown[1], capture_output=True, text=True, check=True)
    assert out.stdout == shown[2]


def test_the_quick_start_leads_to_a_forwarded_call_and_leaves_nothing_behind(tmp_path: Path) -> None:
    block = re.search(r"```sh\nmake install\n(.*?)```", README, re.DOTALL)
    assert block is not None
    upstream, public = free_port(), free_port()
    commands = block[1].replace("$PWD/.venv/bin", str(Path(sys.executable).parent))
    commands = commands.replace("127.0.0.1:9000", f"127.0.0.1:{upstream}").replace(
        "127.0.0.1:8080", f"127.0.0.1:{public}"
    )
    # A record is written after its answer. Who types the next command gives it time; a script may not.
    until_shown = "until trigger-shim callers >report; grep -q active report; do :; done; cat report"
    commands = commands.replace("trigger-shim callers\n", f"{until_shown}\n")
    settings = {
        "TRIGGER_SHIM__LISTEN": f"127.0.0.1:{public}",
        "TRIGGER_SHIM__ADMIN": "null",
        "TMPDIR": str(tmp_path),
    }

    ran = subprocess.run(
        ["bash", "-c", commands],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert '"trigger_status":"created"}' in ran.stdout, ran.stderr
    assert re.search(r"^token:\w{12} .* active$", ran.stdout, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", range(2))
def test_the_scans_that_the_readme_shows_give_what_it_shows(number: int, tmp_path: Path) -> None:
    shown = re.findall(r"\$ (printf .*)\n\$ trigger-shim (scan .*)\n((?:(?!```).*\n)*)```", SCAN)
    assert len(shown) == 2
    files, command, output = shown[number]
    script = f"{files}\nexec {Path(sys.executable).with_name('trigger-shim')} {command} 2>&1"

    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (2, output)


def test_the_limits_that_the_pages_state_are_those_that_hold() -> None:
    assert f"fields, sent within {protocol.HEAD_TIMEOUT:g} s; " in RUNNING
    assert f"the body of a trigger within {body.WHOLE_BODY_TIMEOUT:g} s. " in RUNNING
    assert f"may pause for {protocol.BODY_TIMEOUT:g} s" in RUNNING
    assert f"needs {exchange.MIN_RATE >> 10} KiB/s on average after the first minute" in RUNNING
    assert exchange.RATE_GRACE == 60
    assert f"{READ_SIZE >> 10} KiB are read ahead" in RUNNING
    assert f"nothing for {pool.STALLED:g} s, or sent less than {UPLOAD_STEP >> 10} KiB of a body" in RUNNING
    assert f"must be taken within {protocol.WRITE_TIMEOUT:g} s" in RUNNING
    assert f"{protocol.AHEAD_LIMIT} on a connection, then 503" in RUNNING
    assert f"or {body.FORWARDED_FROM >> 10} KiB of it have arrived" in RUNNING
    assert [limit for limit in get_args(errors.Limit) if f"`{limit}`" not in RUNNING] == []
    assert f"without a call is closed after {protocol.KEEPALIVE} s |" in RUNNING


def test_the_bounds_and_the_date_that_the_pages_state_are_those_that_hold() -> None:
    text = " ".join(WITHDRAWN.split())
    assert f"as published in {PUBLISHED} " in text
    assert f"each worker names the first {slashes.MAX_NAMED}." in text
    assert f"at most {retries.MAX_RUNS:,} runs and {retries.MAX_BYTES >> 20} MiB of their answers, " in text
    assert f"or is silent for {PATIENCE:g} s." in text
    assert f"The answer may have {ANSWER_LIMIT >> 20} MiB " in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if link.startswith("https://"):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not heading or heading in _headings(target), link


def _headings(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _prose(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
