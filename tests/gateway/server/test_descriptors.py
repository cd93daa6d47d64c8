import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import config
from proxy.gateway.server import descriptors
from proxy.gateway.server.descriptors import CALM, Shortage


@given(st.integers(8, 1 << 20), st.integers(1, 10_000))
def test_whatever_the_limit_callers_and_their_forwards_fit_in_it(limit: int, max_connections: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descriptors, "limit", lambda: limit)
        places = descriptors.max_connections(config.load(None, {}, {"upstream": {"max_connections": max_connections}}))

    spare = min(limit // 4, 64)
    assert places > 0
    assert places + min(2 * max_connections, places) + spare <= limit


@pytest.mark.parametrize(("limit", "places"), [(65_536, 64_448), (1_024, 480), (576, 256), (160, 60), (64, 24)])
def test_callers_have_what_the_upstream_leaves_but_at_least_half(
    monkeypatch: pytest.MonkeyPatch, limit: int, places: int
) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: limit)

    assert descriptors.max_connections(config.load(None, {}, {})) == places


@pytest.mark.parametrize(("limit", "said"), [(3_136, False), (3_135, True)])
def test_a_limit_that_is_too_low_is_logged_with_a_sufficient_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limit: int, said: bool
) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: limit)

    descriptors.check_limit(config.load(None, {}, {}))

    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": raise")[0] for line in lines] == [
        "trigger-shim: warning: open files limit low needed=3136 limit=3135"
    ] * said


def test_a_shortage_and_its_end_are_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    shortage = Shortage()

    for now in range(100):
        shortage.report("too many", now)
        shortage.update(now)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith('trigger-shim: warning: connections waiting reason="too many" limit=')

    shortage.update(99 + CALM)
    assert capsys.readouterr().err == ""
    shortage.update(99 + CALM + 1)
    shortage.update(99 + CALM + 2)
    assert capsys.readouterr().err == "trigger-shim: connections resumed\n"
