"""Who counts as new after the freeze."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.gateway.call import policy
from proxy.gateway.call.policy import ActivePolicy
from tests.callers.lines import beats, call, log
from tests.gateway.call.living import NOON, Clock, called, last, living, refuses_new_ones, settings
from tests.support.upstream import RUN, Upstream, reply
from tests.support.waiting import until


def before_the_freeze(folder: Path, *callers: str) -> None:
    records = [call(NOON - timedelta(days=10), caller) for caller in callers]
    (folder / "callers.jsonl").write_bytes(log(*beats(NOON - timedelta(days=40), NOON - timedelta(days=3)), *records))


def test_who_has_no_record_from_before_the_freeze_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    before_the_freeze(tmp_path, "nightly")
    with living(upstream, tmp_path, Clock(), freeze="2026-12-01") as proxy:
        statuses = {agent: called(proxy, agent).status for agent in ("nightly", "late", "welcome", "stranger")}
        message = called(proxy, "late").json()["message"]

    assert statuses == {"nightly": 200, "late": 410, "welcome": 200, "stranger": 410}
    assert message.startswith("Warning: this endpoint takes no new callers; call POST ")
    assert last(proxy)["phase"] == "deprecated"


def test_a_record_from_after_the_freeze_makes_nobody_old(upstream: Upstream, tmp_path: Path) -> None:
    before_the_freeze(tmp_path, "nightly")
    with (tmp_path / "callers.jsonl").open("ab") as file:
        file.write(log(call(NOON - timedelta(hours=1), "late")))
    with living(upstream, tmp_path, Clock(), freeze="2026-12-01") as proxy:
        assert called(proxy, "late").status == 410


def test_records_count_by_the_rules_of_today(upstream: Upstream, tmp_path: Path) -> None:
    old = call(NOON - timedelta(days=10), "10.1.2.3 late/0", caller_source="address", user_agent="late/0")
    (tmp_path / "callers.jsonl").write_bytes(log(*beats(NOON - timedelta(days=40), NOON - timedelta(days=40)), old))
    with living(upstream, tmp_path, Clock(), freeze="2026-12-01") as proxy:
        assert called(proxy, "late").status == 200


def test_where_the_log_does_not_reach_back_to_the_freeze_nobody_is_refused(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with living(upstream, tmp_path, Clock(), freeze="2026-12-01") as proxy:
        assert called(proxy, "nightly").status == 200

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("trigger-shim: warning: freeze not applied: ")
    assert line.endswith(" has no record from before 2026-12-01")


def test_a_freeze_that_is_to_come_knows_everybody_who_called_before_it(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "SETTLING", timedelta())
    before_the_freeze(tmp_path)
    clock = Clock()
    freeze = NOON + timedelta(seconds=0.5)
    with living(upstream, tmp_path, clock, freeze=freeze.isoformat()) as proxy:
        assert called(proxy, "nightly").status == 200
        clock.now = freeze
        until(lambda: called(proxy, "stranger").status == 410)
        assert called(proxy, "nightly").status == 200
    assert json.loads(RUN)["slug"] == "7"
    assert upstream.script is not reply()


# --- the active policy


HEARTBEAT = '{"event":"heartbeat","schema":1,"ts":"2020-01-01T00:00:00Z","at":"start","interval":60,"instance":"a:1"}\n'


def test_a_freeze_to_come_is_awaited_and_one_that_is_put_off_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "callers.jsonl"
    log.write_text(HEARTBEAT)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(policy, "SETTLING", timedelta(seconds=0.05))
    clock = Clock()  # its own time: on a busy machine, the freeze would be settled before it was looked at
    clock.now = now

    async def run() -> None:
        active = ActivePolicy(settings(log, None), b"key", clock)
        later = now + timedelta(days=1)
        active.activate(await active.prepare(settings(log, now)))
        put_off = active.snapshot
        assert not refuses_new_ones(active, now)  # it is only just decided
        active.activate(await active.prepare(settings(log, later)))
        active.activate(await active.prepare(settings(log, now)))
        clock.now = now + policy.SETTLING
        await asyncio.to_thread(until, lambda: not active.snapshot.must_read)
        assert refuses_new_ones(active, now)
        assert put_off.must_read
        active.close()

    asyncio.run(run())


def test_a_freeze_that_is_over_is_known_before_it_is_in_force(tmp_path: Path) -> None:
    log = tmp_path / "callers.jsonl"
    log.write_text(HEARTBEAT)
    now = datetime(2026, 1, 1, tzinfo=UTC)

    async def run() -> None:
        active = ActivePolicy(settings(log, None), b"key", lambda: now)
        active.activate(await active.prepare(settings(log, now - policy.SETTLING)))
        assert refuses_new_ones(active, now)

    asyncio.run(run())
