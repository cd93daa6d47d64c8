import ast
import functools
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from proxy.output import diagnostics
from proxy.output.diagnostics import log
from tests.support.paths import ROOT

LEVELS = ("info", "warning", "error")


@pytest.fixture(params=["console", "json"])
def log_format(request: pytest.FixtureRequest) -> Iterator[str]:
    diagnostics.configure(request.param)
    yield request.param
    diagnostics.configure()


@pytest.fixture
def _json() -> Iterator[None]:
    diagnostics.configure("json")
    yield
    diagnostics.configure()


# --- the readable format


def test_an_event_is_a_line_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    log.info("caller_log_recovered", late_records=3)
    log.warning("worker_ended", worker=17, reason="was ended by SIGKILL", message="see 'limits'")

    assert capfd.readouterr().err == (
        "trigger-shim: caller log recovered late_records=3\n"
        "trigger-shim: warning: worker ended worker=17 reason=\"was ended by SIGKILL\": see 'limits'\n"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a/b:c", "a/b:c"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('a"b', r'"a\"b"'),
        ("ü", "ü"),
        (["a", "b"], '["a","b"]'),
        ({"a": 1}, '{"a":1}'),
        (2.5, "2.5"),
    ],
)
def test_a_value_that_could_be_misread_is_quoted(value: object, shown: str, capfd: pytest.CaptureFixture[str]) -> None:
    log.info("seen", value=value)

    assert capfd.readouterr().err == f"trigger-shim: seen value={shown}\n"


# --- JSON


@pytest.mark.usefixtures("_json")
def test_an_event_is_an_object_with_its_time_and_level(capfd: pytest.CaptureFixture[str]) -> None:
    log.error("record_not_written", reason="No space", record={"event": "deprecated_call"})

    text = capfd.readouterr().err
    event = json.loads(text)
    assert list(event) == ["ts", "level", "event", "reason", "record"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event.pop("ts"))
    assert datetime.fromisoformat(json.loads(text)["ts"]).utcoffset() == timedelta()
    assert event == {
        "level": "error",
        "event": "record_not_written",
        "reason": "No space",
        "record": {"event": "deprecated_call"},
    }
    assert text.endswith('"record":{"event":"deprecated_call"}}\n')  # where `callers` finds it


# --- both


@pytest.mark.usefixtures("log_format")
def test_a_key_without_a_value_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    log.info("listening", url="http://x", admin=None)

    assert "admin" not in capfd.readouterr().err


@pytest.mark.parametrize("hostile", ["a\nb", "\x1b[2J", "\x9b2J", "\u2028\u202e", "\x00\x7f", "\udc80"])
def test_an_event_is_one_line_without_control_characters(
    hostile: str, log_format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    log.warning("seen", caller=hostile, names=[hostile], message=hostile)

    line = capfd.readouterr().err.removesuffix("\n")
    assert line.isprintable()
    if log_format == "json":
        assert [json.loads(line)[key] for key in ("caller", "names", "message")] == [hostile, [hostile], hostile]


def test_auto_is_json_unless_standard_error_is_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for is_terminal in (True, False):
        monkeypatch.setattr(diagnostics, "is_terminal", lambda is_terminal=is_terminal: is_terminal)
        diagnostics.configure("auto")
        log.info("seen")
    diagnostics.configure()

    first, second = capfd.readouterr().err.splitlines()
    assert first == "trigger-shim: seen"
    assert json.loads(second)["event"] == "seen"


def test_structlog_can_capture_events() -> None:
    with capture_logs() as events:
        log.warning("seen", count=1)

    assert events == [{"event": "seen", "count": 1, "log_level": "warning"}]


# --- the table of events


@functools.cache
def events_in_the_code() -> dict[str, tuple[set[str], set[str]]]:
    """The levels and keys of each event that any module logs."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for file in (ROOT / "proxy").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match call:
                case ast.Call(func=ast.Attribute(ast.Name("log" | "_renderer"), method), args=[*levels, name]):
                    assert method in LEVELS or (method == "log" and levels), ast.unparse(call)
                    assert isinstance(name, ast.Constant), ast.unparse(call)
                    keys = {keyword.arg for keyword in call.keywords}
                    assert None not in keys, ast.unparse(call)
                    known = found.setdefault(str(name.value), (set(), set()))
                    known[0].update({method} if method in LEVELS else {"warning", "error"})
                    known[1].update(filter(None, keys))
    return found


def events_in_the_table() -> dict[str, tuple[set[str], set[str]]]:
    text = (ROOT / "deploy/README.md").read_text(encoding="utf-8")
    table = re.search(r"^\| event \| level \| keys \| .*\n\| --- .*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[1].splitlines()]
    return {
        name.strip("`"): (set(level.split(", ")), set(re.findall(r"`(\w+)`", keys))) for name, level, keys, *_ in rows
    }


def test_the_page_shows_an_event_as_it_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "deploy/README.md").read_text(encoding="utf-8")
    shown = re.search(r"^```\n(trigger-shim: .*\n)(\{.*\n)```$", page, re.MULTILINE)
    assert shown is not None
    keys = json.loads(shown[2])
    time, level, name = (keys.pop(key) for key in ("ts", "level", "event"))

    for log_format in ("console", "json"):
        diagnostics.configure(log_format)
        getattr(log, level)(name, **keys)
    diagnostics.configure()

    readable, object_ = capfd.readouterr().err.splitlines(keepends=True)
    assert readable == shown[1]
    assert object_.replace(json.loads(object_)["ts"], time) == shown[2]


def test_the_table_lists_the_events_that_there_are() -> None:
    code = events_in_the_code()

    assert len(code) > 20
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in code)
    assert events_in_the_table() == code


def test_troubleshooting_names_events_that_there_are() -> None:
    text = (ROOT / "deploy/README.md").read_text(encoding="utf-8")
    table = re.search(r"^\| symptom \| look for \| .*\n\| --- .*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", table[1]))
    assert len(named) > 15
    assert {name for name in named if not name.startswith("trigger_shim_")} - events_in_the_code().keys() == set()
