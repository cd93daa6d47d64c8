"""Who called before the freeze, according to the ledger."""

import asyncio
import contextlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from proxy import config
from proxy.callers.identity import Caller
from proxy.callers.ledger import engines
from proxy.callers.ledger.file_counter import FileCounter
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.fingerprint_key import key_id
from proxy.callers.record import Heartbeat
from proxy.gateway.call import earlier_callers, policy
from proxy.gateway.call.earlier_callers import EarlierCallers, EarlierCallersReader, NotKnown
from proxy.gateway.call.policy import ActivePolicy
from tests.callers.lines import DAY, beats, call, log
from tests.gateway.call.living import NOON, Clock, called, refuses_new_ones
from tests.support.ledgers import fill
from tests.support.proxy import proxy_for
from tests.support.upstream import Upstream
from tests.support.waiting import until

KEY = b"k" * 32
FREEZE = NOON - DAY
OLD = beats(FREEZE - 60 * DAY, FREEZE + DAY)


def settings(address: str, caller_log: str = "-") -> config.Config:
    sections = {"callers": {"log": caller_log}, "ledger": address, "lifecycle": {"freeze": FREEZE.isoformat()}}
    return config.load("/dev/null", {}, sections)


def read(address: str, caller_log: str = "-", now: datetime = NOON) -> EarlierCallers:
    return EarlierCallersReader(settings(address, caller_log), FREEZE, key_id(KEY), lambda: now).read()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier_callers, "_PATIENCE", 0)
    monkeypatch.setattr(policy, "_PAUSE", 0.01)


def test_callers_from_before_the_freeze_are_in_the_ledger(address: str) -> None:
    second = timedelta(seconds=1)
    fill(address, *OLD, call(FREEZE - second, "old"), call(FREEZE, "new"), call(FREEZE - 90 * DAY, "ancient"))

    assert read(address).names == {"old", "ancient"}


def test_a_rotated_token_is_known_by_its_origin(address: str) -> None:
    tool: dict[str, Any] = {"user_agent": "legacy/1", "client_ip": "10.1.1.1", "caller_source": "token"}
    fill(address, *OLD, call(FREEZE - DAY, "token:a", token="a" * 12, **tool))
    active = ActivePolicy(settings(address), KEY, lambda: NOON)
    active.activate(asyncio.run(active.prepare(settings(address))))

    def predecessor(client_ip: str) -> str | None:
        caller = Caller("token:b", "token", None, "b" * 12, client_ip, "legacy/1", None)
        return active.snapshot.predecessor(caller, "build")

    assert (predecessor("10.1.1.2"), predecessor("10.9.1.2")) == ("token:a", None)


def other_key() -> list[Heartbeat]:
    return [msgspec.structs.replace(beat, key=key_id(b"o" * 32)) for beat in OLD]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([call(FREEZE, "new")], "the ledger has no record from before 2026-11-30 12:00"),
        (
            [call(FREEZE - 31 * DAY, "first")],
            "the ledger begins on 2026-10-30, and must go back 31 days before the freeze: import older logs with"
            " 'trigger-shim ledger import', or freeze on 2026-11-30 or later",
        ),
        (
            other_key(),
            f"the ledger was written with the fingerprint key {key_id(b'o' * 32)}, this one is {key_id(KEY)}",
        ),
        (
            [*beats(FREEZE - 60 * DAY, FREEZE - DAY, "web-1:1"), *beats(FREEZE - 60 * DAY, FREEZE, "web-2:1")],
            "web-1 may have calls from before it that are not in the ledger yet",
        ),
    ],
)
def test_where_the_ledger_does_not_tell_who_is_new_it_is_said_why(address: str, records: list[Any], said: str) -> None:
    fill(address, *records)
    with pytest.raises(NotKnown) as problem:
        read(address, now=FREEZE + timedelta(hours=1))

    assert str(problem.value) == said


def test_a_host_that_is_gone_is_not_waited_for(address: str) -> None:
    for host in ("killed:1", "stopped:1", "restarted:1"):
        fill(address, *beats(FREEZE - 60 * DAY, FREEZE - DAY, host))
    hour = timedelta(hours=1)
    [stop] = beats(FREEZE - hour, FREEZE - hour, "stopped:1")
    [start] = beats(FREEZE, FREEZE, "restarted:2")
    fill(address, msgspec.structs.replace(stop, at="stop"), start, call(FREEZE - DAY, "old"))

    with pytest.raises(NotKnown, match="killed may have"):
        read(address, now=FREEZE + hour)
    assert read(address, now=FREEZE + 2 * DAY).names == {"old"}


def test_the_log_of_this_host_is_counted_first(address: str, tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    fill(address, *OLD)
    file.write_bytes(log(call(FREEZE - DAY, "old")))
    with pytest.raises(NotKnown, match=r"calls\.jsonl is not counted into the ledger yet"):
        read(address, str(file))
    with contextlib.closing(Ledger(engines.connect(address))) as ledger:
        FileCounter(ledger, lambda: NOON).count(str(file), grows=True)

    assert read(address, str(file)).names == {"old"}


def test_a_ledger_that_cannot_be_read_is_asked_again(address: str) -> None:
    async def run() -> None:
        active = ActivePolicy(settings(address), KEY, lambda: NOON)
        active.activate(await active.prepare(settings(address)))
        assert not refuses_new_ones(active, NOON)
        await asyncio.to_thread(fill, address, call(FREEZE - DAY, "young"))
        await asyncio.to_thread(until, lambda: len(events) >= 2)  # three, if it is read while it is still empty
        await asyncio.to_thread(fill, address, *OLD)
        await asyncio.to_thread(until, lambda: not active.snapshot.must_read)
        assert refuses_new_ones(active, NOON)
        active.close()

    with capture_logs() as events:
        asyncio.run(run())

    *before, last = [event["event"] for event in events]
    assert 2 <= len(before) <= 3
    assert set(before) == {"freeze_not_applied"}
    assert last == "freeze_applied"
    assert events[0]["message"].startswith("the ledger cannot be read: ")


def test_a_reload_reads_the_ledger_again_and_else_keeps_what_it_knew(tmp_path: Path) -> None:
    address = str(tmp_path / "callers.db")

    async def reloaded(active: ActivePolicy) -> frozenset[str]:
        active.activate(await active.prepare(settings(address)))
        active.close()
        assert active.snapshot.earlier is not None
        return active.snapshot.earlier.names

    async def run() -> None:
        active = ActivePolicy(settings(address), KEY, lambda: NOON)
        assert await reloaded(active) == {"old"}
        fill(address, call(FREEZE - 80 * DAY, "imported"))
        assert await reloaded(active) == {"old", "imported"}
        await asyncio.to_thread(Path(address).write_bytes, b"no database")
        assert await reloaded(active) == {"old", "imported"}

    fill(address, *OLD, call(FREEZE - DAY, "old"))
    with capture_logs() as events:
        asyncio.run(run())
    assert events == []


def test_a_caller_that_one_host_knows_is_known_to_all(upstream: Upstream, address: str, tmp_path: Path) -> None:
    hosts = [tmp_path / "a", tmp_path / "b"]
    sections = {"ledger": address, "lifecycle": {"deprecated": "2026-01-01", "freeze": FREEZE.isoformat()}}
    for host in hosts:
        host.mkdir()
    (hosts[0] / "callers.jsonl").write_bytes(log(*OLD))
    known = [{"name": name, "agent": f"{name}/*"} for name in ("nightly", "new")]
    (hosts[1] / "callers.jsonl").write_bytes(log(call(FREEZE - DAY, "nightly")))
    clock, callers = Clock(), {"known": known, "fingerprint_key": KEY.decode()}
    with proxy_for(upstream.url, hosts[1], clock, callers=callers, **sections | {"lifecycle": {}}):
        pass
    with (
        proxy_for(upstream.url, hosts[0], clock, callers=callers, **sections) as one,
        proxy_for(upstream.url, hosts[1], clock, callers=callers, **sections) as other,
    ):
        until(lambda: called(one, "new").status == called(other, "new").status == 410)
        assert [called(host, "nightly").status for host in (one, other)] == [200, 200]


def test_a_freeze_needs_no_log_file(
    upstream: Upstream, address: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fill(address, *OLD, call(FREEZE - DAY, "nightly"))
    lifecycle = {"deprecated": "2026-01-01", "freeze": FREEZE.isoformat()}
    callers = {"log": "-", "known": [{"name": "nightly", "agent": "nightly/*"}]}
    with proxy_for(upstream.url, tmp_path, Clock(), ledger=address, callers=callers, lifecycle=lifecycle) as proxy:
        statuses = [called(proxy, name).status for name in ("nightly", "new")]

    assert statuses == [200, 410]
    assert '"caller":"nightly"' in capfd.readouterr().out
