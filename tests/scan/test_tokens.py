"""Each spelling of a variable, in each place."""

import pytest

from proxy.scan.patterns import find

VARIABLES = [
    *"$ORG ${ORG} ${ORG:-acme} $$ORG $${ORG} {org} {} {0} {{org}} <org> :org %s %1$s %(org)s #{org} $(ORG)".split(),
    *"%ORG% \\(org) $env:ORG $(${ORG}) * ([^/]+) (?P<org>[^/]+) acme a%20b a.b-c_d~e".split(),
    *("{{ org }}", "${{ github.org }}", "{{ org | urlencode }}", '$(urlencode "$ORG")', "<the org>"),
]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/{0}/shop/ci_workflows/x/trigger", "trigger"),
        ("/acme/{0}/ci_workflows/x/trigger", "trigger"),
        ("/acme/shop/ci_workflows/{0}/trigger", "trigger"),
        ("/{0}/{0}/ci_workflows/{0}/trigger", "trigger"),
        ("/repos/id:{0}/ci_workflows/{0}/trigger", "trigger_by_id"),
        ("/{0}/{0}/cicd/runs", "list_runs"),
        ("/{0}/{0}/cicd/runs/{0}/{0}", "get_workflow"),
        ("/{0}/{0}/cicd/logs/{0}/{0}/{0}/{0}", "get_logs"),
    ],
)
def test_a_segment_may_be_a_variable(path: str, name: str) -> None:
    for variable in VARIABLES:
        called = path.replace("{0}", variable)

        [found] = find(f"GET https://api.sourcecraft.tech{called} \n")

        assert (found.hit.endpoint, found.found) == (name, called)
        successor = called.partition("/ci_workflows/")[0] + "/cicd/runs" if "trigger" in name else called
        assert found.hit.replacement.partition(" ")[2] == "/repos" + successor.removeprefix("/repos")


@pytest.mark.parametrize(
    "path", ["/repos/{0}/{0}/cicd/runs", "/repos/id:{0}/cicd/runs/{0}", "/repos/{0}/cicd/logs/{0}/{0}/{0}/{0}"]
)
@pytest.mark.parametrize("base", ["", "$API", "https://api.sourcecraft.tech", "{{ api }}", "$(API)/v1", "%API%"])
def test_a_successor_is_never_found(path: str, base: str) -> None:
    called = [base + path.replace("{0}", variable) for variable in [*VARIABLES, "id%3A1"]]

    assert [one for one in called if find(f'x "{one}" y') or find(f"curl -X DELETE {one}\n")] == []
