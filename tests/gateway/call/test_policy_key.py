"""A freeze with another fingerprint key than that of the log refuses nobody, since nobody would be recognized."""

import asyncio
import gzip
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from proxy.callers.log.fingerprint_key import key_id
from proxy.gateway.call.policy import ActivePolicy
from tests.callers.lines import beats, call, log
from tests.gateway.call.living import NOON, Clock, refuses_new_ones, settings
from tests.support.proxy import proxy_for
from tests.support.upstream import Upstream

OURS, OTHER = b"k" * 32, b"o" * 32
FREEZE = NOON - timedelta(days=1)
BEFORE, AFTER = FREEZE - timedelta(days=2), FREEZE + timedelta(hours=2)


def written(file: Path, *keys: bytes | None, at: object = None) -> None:
    """A log with a heartbeat for each key, and one caller from before the freeze."""
    moment = at or BEFORE
    heartbeats = [
        msgspec.structs.replace(beats(moment, moment)[0], key=key and key_id(key))  # type: ignore[arg-type]
        for key in keys
    ]
    file.write_bytes(log(*heartbeats, call(BEFORE, "old")))


@pytest.mark.parametrize(
    ("keys", "refused"),
    [((OURS,), True), ((None,), True), ((), True), ((None, OURS), True), ((OTHER,), False), ((OTHER, OURS), False)],
)
def test_the_freeze_refuses_nobody_where_the_key_is_another(
    tmp_path: Path, keys: tuple[bytes | None, ...], refused: bool
) -> None:
    file = tmp_path / "callers.jsonl"
    written(file, *keys)
    active = ActivePolicy(settings(file, None), OURS, lambda: NOON)
    with capture_logs() as events:
        active.activate(asyncio.run(active.prepare(settings(file, FREEZE))))

    assert refuses_new_ones(active, NOON) is refused
    assert [event["event"] for event in events] == ["freeze_not_applied"] * (not refused)
    for event in events:
        assert event["message"] == (
            f"{file} was written with the fingerprint key {key_id(OTHER)}, this one is {key_id(OURS)}"
        )


def test_a_log_that_is_read_only_in_part_is_told(tmp_path: Path) -> None:
    file, archive = tmp_path / "callers.jsonl", tmp_path / "callers.jsonl.1.gz"
    written(file, OURS)
    archive.write_bytes(gzip.compress(b"x" * 99)[:-9])
    active = ActivePolicy(settings(file, None), OURS, lambda: NOON)
    with capture_logs() as events:
        asyncio.run(active.prepare(settings(file, FREEZE)))

    [event] = events
    assert (event["event"], event["log_level"]) == ("caller_log_damaged", "warning")
    assert event["message"] == f"{archive}: only what comes before the damage was read"


def test_a_key_that_only_came_after_the_freeze_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "callers.jsonl"
    written(file, OTHER, at=AFTER)
    active = ActivePolicy(settings(file, None), OURS, lambda: NOON)
    active.activate(asyncio.run(active.prepare(settings(file, FREEZE))))

    assert refuses_new_ones(active, NOON)


def test_each_heartbeat_has_the_id_of_the_key(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, callers={"fingerprint_key": "k" * 32}) as proxy:
        pass

    assert [(event["at"], event["key"]) for event in proxy.events()] == [
        ("start", key_id(OURS)),
        ("stop", key_id(OURS)),
    ]


def test_callers_from_before_a_lost_key_are_not_refused(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    clock.now = FREEZE - timedelta(days=40)
    with proxy_for(upstream.url, tmp_path, clock) as proxy:
        assert proxy.call().status == 200
    (tmp_path / "callers.key").unlink()
    clock.now = NOON
    with proxy_for(upstream.url, tmp_path, clock, lifecycle={"freeze": FREEZE.isoformat()}) as proxy:
        assert proxy.call().status == 200

    assert "warning: freeze not applied: " in capsys.readouterr().err


def test_strangers_from_before_the_freeze_are_known_by_their_network(upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "callers.jsonl").write_bytes(
        log(
            *beats(NOON - timedelta(days=40), NOON - timedelta(days=40)),
            call(BEFORE, "10.1.2.3 old/1", caller_source="address", client_ip="10.1.2.3", token=None, status=401),
        )
    )
    clock = Clock()
    with proxy_for(upstream.url, tmp_path, clock, lifecycle={"freeze": FREEZE.isoformat()}) as proxy:
        near, far = (
            proxy.call(headers={"X-Forwarded-For": address, "Authorization": ""}).status
            for address in ("10.1.2.99", "10.9.9.9")
        )

    assert (near, far) == (200, 410)
