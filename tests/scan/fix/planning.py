"""Plans for texts, and what becomes of these."""

from proxy.scan.finding import Located
from proxy.scan.fix.plan import Plan, plan
from proxy.scan.patterns import find

BASE = "https://api.sourcecraft.tech"
OLD = f"{BASE}/acme/shop/ci_workflows/build/trigger"
NEW = f"{BASE}/repos/acme/shop/cicd/runs"
JSON = "-H 'Content-Type: application/json'"


def planned(text: str, file: str, *, unsafe: bool = False) -> Plan:
    """The plan for a file with a text."""
    found = [Located(file, finding) for finding in find(text)]
    return plan(text.encode(), file, found, unsafe=unsafe)


def changed(text: str, file: str, *, unsafe: bool = False) -> str:
    """What a file with a text becomes. Changing it again changes nothing."""
    new = planned(text, file, unsafe=unsafe).new_content.decode()
    assert planned(new, file, unsafe=unsafe).new_content.decode() == new
    return new


def refused(text: str, file: str, *, unsafe: bool = False) -> list[str]:
    """Why findings in a file are not changed."""
    return [one.refusal.reason for one in planned(text, file, unsafe=unsafe).outcomes if one.change is None]
