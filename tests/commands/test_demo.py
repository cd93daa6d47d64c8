import json
import re
from collections.abc import Callable

import pytest

from proxy.withdrawn import endpoints, trigger
from tests.commands.running import Run


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
    monkeypatch.setattr(trigger, "to_legacy", lambda *_: trigger.LegacyResponse(200, answer))


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
