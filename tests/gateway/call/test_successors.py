"""A token that is rotated while a freeze is in force."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.record import CallRecord
from proxy.gateway.call import successors
from tests.callers.lines import beats, call, log
from tests.gateway.call.living import NOON, Clock
from tests.support.proxy import TRIGGER, Proxy, proxy_for
from tests.support.upstream import Upstream, reply

FREEZE = NOON - timedelta(days=1)
OLD = "0123456789ab"


def before(ago: float = 9, **fields: Any) -> CallRecord:
    """A call of a token of old."""
    known: dict[str, Any] = {
        "caller": f"token:{OLD}",
        "caller_source": "token",
        "token": OLD,
        "client_ip": "10.1.1.1",
        "user_agent": "legacy/1",
    }
    return call(NOON - timedelta(days=ago), **known | fields)


def called(
    proxy: Proxy, path: str = TRIGGER, address: str = "10.1.1.2", agent: str = "legacy/1", token: str = "new"
) -> int:
    """The status of a call with a token that is not in the log."""
    headers = {"X-Forwarded-For": address, "User-Agent": agent, "Authorization": token}
    return proxy.call(path, headers=headers).status


def frozen(upstream: Upstream, folder: Path, *records: CallRecord) -> Any:
    kept = beats(NOON - timedelta(days=20), NOON - timedelta(days=2))
    (folder / "callers.jsonl").write_bytes(log(*kept, *records))
    return proxy_for(upstream.url, folder, Clock(), lifecycle={"freeze": FREEZE.isoformat()})


@pytest.mark.parametrize(
    ("record", "call", "status"),
    [
        ({}, {}, 200),
        ({}, {"address": "10.1.1.255"}, 200),
        ({}, {"address": "10.1.2.2"}, 410),
        ({}, {"agent": "legacy/2"}, 410),
        ({}, {"token": ""}, 410),
        ({}, {"path": TRIGGER.replace("build", "deploy")}, 410),
        ({"client_ip": "2001:db8:1:1::1"}, {"address": "2001:db8:1:2::1"}, 200),
        ({"client_ip": "2001:db8:1:1::1"}, {"address": "2001:db8:2:1::1"}, 410),
        ({"caller": "nightly", "caller_source": "known"}, {}, 200),
        ({"status": 401, "outcome": "upstream_error"}, {}, 410),
        ({"caller": "10.1.1.1 legacy/1", "caller_source": "address", "token": None, "status": 401}, {}, 410),
        ({"ago": 0.5}, {}, 410),
        ({"client_ip": None}, {}, 410),
    ],
    ids=[
        "all the same",
        "elsewhere in its network",
        "in another network",
        "another agent",
        "no token",
        "another workflow",
        "elsewhere in its IPv6 network",
        "in another IPv6 network",
        "after a caller that had a name",
        "after a stranger with a token",
        "after a stranger without one",
        "after somebody who is new as well",
        "after somebody without an address",
    ],
)
def test_a_new_token_is_let_through_where_it_calls_as_another_did_before_the_freeze(
    upstream: Upstream, tmp_path: Path, record: Any, call: Any, status: int
) -> None:
    other = before(user_agent="other/1", caller="other", caller_source="known", workflow="other")
    with frozen(upstream, tmp_path, before(**record), other) as proxy:
        assert called(proxy, **call) == status


def test_the_operator_is_told_once_of_each_token_that_the_service_accepts(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with frozen(upstream, tmp_path, before()) as proxy:
        upstream.script = reply(401, b"{}")
        assert called(proxy) == 401
        assert capsys.readouterr().err == ""
        upstream.script = reply()
        assert (called(proxy), called(proxy)) == (200, 200)
        caller = proxy.records()[-1]["caller"]

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("trigger-shim: warning: successor let through ")
    assert f"caller={caller} predecessor=token:{OLD} " in line


def test_only_so_many_are_named(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(successors, "MAX_NAMED", 1)
    with frozen(upstream, tmp_path, before()) as proxy:
        assert [called(proxy, token=token) for token in "ab"] == [200, 200]

    assert len(capsys.readouterr().err.splitlines()) == 1
