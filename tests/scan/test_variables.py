import pytest

from proxy.scan.finding import Confidence
from proxy.scan.patterns import find

PATH = "/acme/shop/ci_workflows"


@pytest.mark.parametrize(
    ("assignment", "use"),
    [
        (f"WF=$API{PATH}", "curl $WF/build/trigger"),
        (f'export WF_URL="https://api.sourcecraft.tech{PATH}"', 'curl "${WF_URL}/build/trigger"'),
        (f"WF_URL: https://api.sourcecraft.tech{PATH}", 'curl "$WF_URL/build/trigger"'),
        (f'"wf": "https://api.sourcecraft.tech{PATH}",', '"{{wf}}/build/trigger"'),
        (f"ENV WF https://api.sourcecraft.tech{PATH}", "RUN curl $WF/build/trigger"),
        (f"set WF=%API%{PATH}", "curl %WF%/build/trigger"),
        (f"WF := $(API){PATH}", "curl $(WF)/build/trigger"),
        (f'$workflows = "$base{PATH}";', '$client->post("$workflows/build/trigger")'),
        (f"const wf: string = `${{api}}{PATH}`;", "fetch(`${wf}/build/trigger`)"),
        (f'WF: Final[str] = API + "{PATH}"', 'post(f"{WF}/build/trigger")'),
        (f'private val workflows = "$api{PATH}"', 'post("$workflows/build/trigger")'),
        (f"define('WF', 'https://api.sourcecraft.tech{PATH}');", "post(WF . '/build/trigger')"),
        (f'let wf = format!("{{}}{PATH}", api);\nlet wf = "{PATH}"', 'format!("{wf}/build/trigger")'),
        ("P=ci_workflows", "curl $API/acme/shop/$P/build/trigger"),
        (f"A=https://api.sourcecraft.tech\nB=$A{PATH}", "curl $B/build/trigger"),
    ],
)
def test_a_path_may_begin_in_one_variable_and_end_behind_it(assignment: str, use: str) -> None:
    for gap in ("\n", "\n" * 3000):
        calls = [found for found in find(assignment + gap + use) if found.hit.confidence is not Confidence.NOTE]

        assert [(found.hit.endpoint, found.hit.confidence) for found in calls] == [("trigger", Confidence.CERTAIN)]
        assert calls[0].line == (assignment + gap).count("\n") + 1
        assert calls[0].hit.replacement == "POST /repos/acme/shop/cicd/runs"


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("https://api.sourcecraft.tech", 1),
        ("https://builds.example.org", 0),
        ("https://sourcecraft.dev/", 0),
        ("${BASE:-https://builds.example.org}", 0),
        ("https://api.sourcecraft.tech/repos", 0),
        ("$OTHER", 1),
        ("config.api.base", 1),
    ],
)
def test_what_a_variable_holds_tells_whose_call_it_is(value: str, count: int) -> None:
    found = find(f"API = {value}\nGET $API/$ORG/$REPO/cicd/runs")

    assert sum(one.hit.confidence.is_call for one in found) == count


def test_the_last_value_before_the_use_counts() -> None:
    text = "A=https://builds.example.org\nB=1\nA=https://api.sourcecraft.tech\nGET $A/acme/shop/cicd/runs\nA=https://x.example\n"

    assert [found.line for found in find(text) if found.hit.confidence.is_call] == [4]


def test_a_value_may_stand_below_its_use() -> None:
    assert find("GET {{base}}/$ORG/$REPO/cicd/runs\n\nbase = 'https://builds.example.org'") == []


@pytest.mark.parametrize(
    "text", ["A=$A/ci_workflows\n$A/x/trigger", "A=$B/ci_workflows\nB=$A/ci_workflows\n$A/x/trigger"]
)
def test_variables_that_hold_themselves_end(text: str) -> None:
    assert find(text)
