from datetime import timedelta, timezone
from ipaddress import ip_network

import pytest

from proxy.callers.identity import Rule
from proxy.callers.policy_digest import policy_digest
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW
from tests.callers.policies import once

RULE = Rule("a", tokens=("0123456789ab",), networks=(ip_network("10.1.0.0/16"),), migrated=NOW)
POLICY = Policy(sunset=NOW, freeze=NOW - DAY)


def test_a_digest_is_the_same_in_every_process() -> None:
    assert policy_digest(POLICY, [RULE]) == "a0f76a8b4284"


@pytest.mark.parametrize(
    ("policy", "rules"),
    [
        (POLICY._replace(sunset=NOW + DAY), [RULE]),
        (POLICY._replace(freeze=None), [RULE]),
        (POLICY, []),
        (POLICY, [RULE, RULE._replace(name="b")]),
        (POLICY, [RULE._replace(name="b"), RULE]),
        (POLICY, [RULE._replace(migrated=None)]),
        (POLICY, [RULE._replace(extension=NOW)]),
        (POLICY, [RULE._replace(exempt_from_freeze=True)]),
        (POLICY, [RULE._replace(networks=(ip_network("10.2.0.0/16"),))]),
        (POLICY, [RULE._replace(tokens=(), agents=("0123456789ab",))]),
    ],
)
def test_what_decides_who_is_refused_changes_the_digest(policy: Policy, rules: list[Rule]) -> None:
    assert policy_digest(policy, rules) != policy_digest(POLICY, [RULE])


def test_what_does_not_decide_it_makes_no_difference() -> None:
    same = POLICY._replace(deprecated=NOW, documentation="https://a.example", brownouts=(once(NOW),))
    local = same._replace(sunset=NOW.astimezone(timezone(timedelta(hours=3))))
    rule = RULE._replace(owner="team-a", contact="a@acme.example", every=31 * DAY, note="x", promised=NOW, ignore=True)

    assert policy_digest(local, [rule]) == policy_digest(POLICY, [RULE])
