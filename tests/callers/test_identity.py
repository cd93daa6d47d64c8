import gc
import hashlib
import hmac
import ipaddress
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.callers.identity import Caller, Identity, Rule, fingerprint, token

TRUSTED = [ipaddress.ip_network(network) for network in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "fd00::/8")]
KEY = b"a key of the test"
TOKEN = "y0_AgAAAAB-secret-of-alice"


def identity(key: bytes = KEY) -> Identity:
    return Identity(TRUSTED, key)


def called(authorization: str | None = None, user_agent: str | None = None, peer: str | None = "203.0.113.9") -> Caller:
    return identity().identify(peer, [], authorization, user_agent)


def test_a_fingerprint_is_the_first_12_hexadecimal_digits_of_the_hmac() -> None:
    # RFC 4231, test case 2.
    assert fingerprint(b"Jefe", "what do ya want for nothing?") == "5bdcc146bf60"


@settings(deadline=None)
@given(st.binary(), st.text())
def test_a_fingerprint_is_hmac_sha256_of_the_token_under_the_key(key: bytes, secret: str) -> None:
    assert fingerprint(key, secret) == hmac.new(key, secret.encode(), hashlib.sha256).hexdigest()[:12]


def test_a_token_that_is_not_utf8_has_the_fingerprint_of_its_bytes() -> None:
    secret = b"caf\xe9"

    expected = hmac.new(KEY, secret, hashlib.sha256).hexdigest()[:12]
    assert fingerprint(KEY, secret.decode("utf-8", "surrogateescape")) == expected


def test_a_fingerprint_differs_by_key_and_by_token() -> None:
    assert len({fingerprint(key, secret) for key in (b"1", b"2") for secret in ("a", "b")}) == 4


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer {TOKEN}",
        f"bearer {TOKEN}",
        f"BEARER {TOKEN}",
        f"OAuth {TOKEN}",
        f"Bearer   {TOKEN}",
        f"  Bearer {TOKEN}  ",
        TOKEN,
    ],
)
def test_a_token_has_one_fingerprint_whatever_the_scheme(authorization: str) -> None:
    caller = called(authorization)

    expected = hmac.new(KEY, TOKEN.encode(), hashlib.sha256).hexdigest()[:12]
    assert token(authorization) == TOKEN
    assert caller.token == expected
    assert caller.source == "token"
    assert expected in caller.name


@pytest.mark.parametrize("authorization", [None, "", "   "])
def test_a_call_without_a_token_is_named_by_address_and_user_agent(authorization: str | None) -> None:
    caller = called(authorization, "Jenkins/2.4")

    assert caller.source == "address"
    assert caller.token is None
    assert "203.0.113.9" in caller.name
    assert "Jenkins/2.4" in caller.name


def test_callers_with_one_address_are_distinguished_by_user_agent() -> None:
    assert called(user_agent="Jenkins/2.4").name != called(user_agent="curl/8").name


def test_an_unknown_caller_still_has_a_name() -> None:
    caller = called(peer=None)

    assert caller.name
    assert caller.client_ip is None
    assert caller.user_agent is None


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "OAuth ", "Basic ", ""])
def test_the_token_is_in_no_field_of_the_caller(scheme: str) -> None:
    caller = identity().identify("127.0.0.1", ["198.51.100.1"], f"{scheme}{TOKEN}", "agent")

    assert TOKEN not in repr(caller)
    assert caller.token is not None
    assert re.fullmatch("[0-9a-f]{12}", caller.token)


def test_the_token_stays_in_no_cache() -> None:
    same = identity()
    same.identify("203.0.113.9", [], f"Bearer {TOKEN}", "agent")

    seen: set[int] = set()
    left: list[object] = [same]
    while left:
        held = left.pop()
        if id(held) not in seen and isinstance(held, (Identity, tuple, list, dict, str, bytes)):
            seen.add(id(held))
            assert not (isinstance(held, str) and TOKEN in held)
            assert not (isinstance(held, bytes) and TOKEN.encode() in held)
            left += gc.get_referents(held)
    assert len(same._callers) == 1


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.callers.identity._MAX_CACHED", 3)
    same = identity()
    names = [same.identify("203.0.113.9", [], f"Bearer {number}", None).name for number in [*range(10), 0, 9]]

    assert len(set(names)) == 10
    assert names[10:] == [names[0], names[9]]
    assert len(same._callers) <= 3


def test_a_caller_keeps_its_name_when_its_address_or_user_agent_changes() -> None:
    first = identity().identify("203.0.113.9", [], f"Bearer {TOKEN}", "curl/8")
    second = identity().identify("198.51.100.1", [], f"Bearer {TOKEN}", "curl/9")

    assert first.name == second.name


def test_a_long_user_agent_is_cut_and_a_short_one_is_not() -> None:
    long = called(user_agent="x" * 100_000)
    short = "Apache-HttpClient/4.5.13 (Java/11.0.20)"

    assert long.user_agent is not None
    assert len(long.user_agent) < 1000
    assert set(long.user_agent) == {"x"}
    assert len(long.name) < 1100
    assert called(user_agent=short).user_agent == short


RULES = (
    Rule("by token", "team-t", tokens=("0123456789ab", fingerprint(KEY, "known-token"))),
    Rule("by agent", agents=("legacy-ci/*", "curl*")),
    Rule("by network", networks=(ipaddress.ip_network("10.0.0.0/8"),)),
    Rule("by both", "team-b", repositories=("acme/*", "id:42"), workflows=("release*",)),
    Rule("too late", agents=("*",), repositories=("late/*",)),
    Rule("by repository", repositories=("late/*",)),
)


@pytest.mark.parametrize(
    ("call", "name", "owner"),
    [
        ({"authorization": "Bearer known-token", "user_agent": "legacy-ci/1"}, "by token", "team-t"),
        ({"authorization": "Bearer other", "user_agent": "legacy-ci/1"}, "by agent", None),
        ({"user_agent": "Legacy-CI/1", "peer": "10.255.0.1"}, "by network", None),
        ({"repository": "acme/shop", "workflow": "release/prod"}, "by both", "team-b"),
        ({"repository": "id:42", "workflow": "release"}, "by both", "team-b"),
        ({"repository": "late/x"}, "too late", None),
        ({"repository": "late/x", "user_agent": "anything"}, "too late", None),
    ],
)
def test_the_first_rule_whose_every_criterion_matches_names_the_caller(
    call: dict[str, str], name: str, owner: str | None
) -> None:
    caller = identified(**call)
    assert (caller.name, caller.source, caller.owner) == (name, "known", owner)


@pytest.mark.parametrize(
    "call",
    [
        {"repository": "acme/shop", "workflow": "build"},
        {"repository": "acme2/shop", "workflow": "release"},
        {"repository": "acme/shop"},
        {"peer": "11.0.0.1"},
        {"user_agent": "xlegacy-ci/1"},
    ],
)
def test_a_rule_with_a_criterion_that_does_not_match_is_skipped(call: dict[str, str]) -> None:
    assert identified(**call).source == "address"


def test_rules_come_before_the_header_and_the_header_before_the_token() -> None:
    assert identified(declared_name="me", authorization="Bearer known-token").name == "by token"
    assert identified(declared_name=" me ", authorization="Bearer x")[:2] == ("me", "header")
    assert identified(declared_name=" ", authorization="Bearer x").source == "token"
    assert len(identified(declared_name="x" * 1000).name) == 128


def identified(
    peer: str = "203.0.113.1",
    authorization: str | None = None,
    user_agent: str | None = None,
    declared_name: str | None = None,
    repository: str = "",
    workflow: str | None = None,
) -> Caller:
    return Identity([], KEY, RULES).identify(
        peer, [], authorization, user_agent, declared_name=declared_name, repository=repository, workflow=workflow
    )


@pytest.mark.parametrize(
    "name",
    [
        "by token",
        " By\tTOKEN ",
        "\uff42\uff59 \uff54oken",
        "by\u200b token",
        "token:0123456789ab",
        "TOKEN:whatever",
        "0123456789ab",
        "strangers in 10.0.0.0/24",
        "strangers elsewhere",
        "(others)",
        "(strangers)",
        "(none)",
        "\u200b",
    ],
)
def test_a_caller_cannot_declare_a_name_that_is_not_its_own(name: str) -> None:
    assert identified(declared_name=name, authorization="Bearer x")[:2] == (f"token:{fingerprint(KEY, 'x')}", "token")
    assert identified(declared_name=name, user_agent="curl-not")[:2] == ("by agent", "known")
    assert identified(declared_name=name, user_agent="x")[:2] == ("203.0.113.1 x", "address")


@pytest.mark.parametrize("name", ["nightly", "by token 2", "0123456789abc", "stranger", "team (ci)", "Ночь"])
def test_any_other_name_can_be_declared(name: str) -> None:
    assert identified(declared_name=name, authorization="Bearer x")[:2] == (name, "header")
